"""Django settings. Every value an operator may want to change comes from the environment.

This is the only module that reads the environment; `docs/operations.md` lists the variables. A `.env` file
beside `manage.py` is read first, so that cron and the web server see the same values.
"""

from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from jobsite import database, layout

BASE_DIR = layout.HOME
# Its files, and no app of Django: that would import it at the start of every command.
NINJA = Path(getattr(find_spec("ninja"), "origin", "")).parent

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)

SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured(
            "Set SECRET_KEY to a long random string (or DEBUG=1 for development). "
            "`python -c 'import secrets; print(secrets.token_urlsafe(50))'` makes one."
        )
    SECRET_KEY = "for-development-only-" + "x" * 50

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "jobsite",
    "alerts",
    "jobs",
    "bots",
    "csp",
    "django_htmx",
    "jobsite.console.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "jobsite.entry.RouteMiddleware",
    "jobsite.probes.ProbesMiddleware",
    # Early, so that what the others refuse (a wrong Host, for one) reaches bots as a problem, too.
    "jobsite.lib.problems.ApiMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "jobsite.console.proxy_login.ProxyLoginMiddleware",
    "jobsite.uploads.UploadsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "jobsite.console.error_pages.ConsoleMiddleware",
    "jobsite.lib.reads.ReadsMiddleware",
]

ROOT_URLCONF = "jobsite.urls"
WSGI_APPLICATION = "jobsite.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [layout.TEMPLATES, NINJA / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Database -------------------------------------------------------------------------------------------------

# Prepare the statements of bots' calls on the server. Empty: on direct connections, and not through a pooler.
DATABASE_PREPARE: bool | None = env.bool("DATABASE_PREPARE", default=None)
DATABASES = database.with_replica(
    env.db_url_config(env.str("DATABASE_URL", default="") or database.embedded(BASE_DIR / ".postgres")),
    env.str("REPLICA_URL", default=""),
    prepare=DATABASE_PREPARE,
    pool={
        "min_size": env.int("DATABASE_POOL_MIN", default=1),
        "max_size": env.int("DATABASE_POOL_MAX", default=16),
        "timeout": env.int("DATABASE_POOL_TIMEOUT", default=5),
    },
)
DATABASE_ROUTERS = ["jobsite.lib.source.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Time and language ----------------------------------------------------------------------------------------

LANGUAGE_CODE = "en-gb"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_I18N = False
USE_TZ = True

# --- Static files ---------------------------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / ".static"
STATICFILES_DIRS = [NINJA / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- Security -------------------------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}Validator"}
    for name in ("UserAttributeSimilarity", "MinimumLength", "CommonPassword", "NumericPassword")
]
LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"
AUTHENTICATION_BACKENDS = ["jobsite.lib.permissions.PermissionsBackend"]
CSRF_FAILURE_VIEW = "jobsite.console.error_pages.csrf_failure"

# HTTPS is the default; a site inside a private network, or `make run`, sets HTTPS=0.
HTTPS = env.bool("HTTPS", default=not DEBUG)
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31_536_000) if HTTPS else 0
# Other hosts are not ours to decide about, and browsers' lists of HTTPS hosts keep a name for years.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", default=False)
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
# Trust what the proxy says: the scheme, and the client's address.
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
# Nothing inline, nothing evaluated, nothing from another host, on every page (docs/decisions/0015-admin.md).
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "object-src": ["'none'"],
    }
}

# --- Logging in -----------------------------------------------------------------------------------------------

# Failed logins of one name from one address within the window; then more are refused.
LOGIN_FAILURES = env.int("LOGIN_FAILURES", default=5)
LOGIN_WINDOW = timedelta(seconds=env.int("LOGIN_WINDOW_SECONDS", default=900))
LOGINS_KEPT = timedelta(days=env.int("LOGINS_KEPT_DAYS", default=90))
SECOND_FACTOR_REQUIRED = env.bool("SECOND_FACTOR_REQUIRED", default=False)
OIDC_ISSUER = env.str("OIDC_ISSUER", default="")
OIDC_CLIENT_ID, OIDC_CLIENT_SECRET = env.str("OIDC_CLIENT_ID", default=""), env.str("OIDC_CLIENT_SECRET", default="")
OIDC_NAME = env.str("OIDC_NAME", default="single sign-on")
OIDC_SCOPES = env.str("OIDC_SCOPES", default="openid profile email")
OIDC_USERNAME_CLAIM = env.str("OIDC_USERNAME_CLAIM", default="preferred_username")
OIDC_GROUPS_CLAIM = env.str("OIDC_GROUPS_CLAIM", default="groups")
# The provider's groups and what they stand for here: `ops=operator,admins=administrator`.
OIDC_GROUPS = env.dict("OIDC_GROUPS", default="")
REMOTE_USER_HEADER = env.str("REMOTE_USER_HEADER", default="")

# --- Limits on what comes in ----------------------------------------------------------------------------------

MAX_BODY_BYTES = env.int("MAX_BODY_BYTES", default=2 * 1024 * 1024)
MAX_BULK_BODY_BYTES = env.int("MAX_BULK_BODY_BYTES", default=64 * 1024 * 1024)
MAX_STREAM_BYTES = env.int("MAX_STREAM_BYTES", default=1024 * 1024 * 1024)
MAX_PAYLOAD_BYTES = env.int("MAX_PAYLOAD_BYTES", default=256 * 1024)
MAX_RESULT_BYTES = env.int("MAX_RESULT_BYTES", default=256 * 1024)
# A form, with its files. Django allows 2.5 MB; a file with jobs comes back in a form as base64.
DATA_UPLOAD_MAX_MEMORY_SIZE = max(2_621_440, MAX_BODY_BYTES * 3 // 2)
# A body must come within this time, and a second more for each 16 KB of it.
BODY_SECONDS = env.int("BODY_SECONDS", default=20)
# Calls a second that each process takes from one token, and from one address without a valid token. 0: any number.
RATE_PER_TOKEN = env.int("RATE_PER_TOKEN", default=2000)
RATE_PER_ADDRESS = env.int("RATE_PER_ADDRESS", default=100)
# Seconds that the database may work for one read of the console or the API. 0: as long as it takes.
READ_SECONDS = env.int("READ_SECONDS", default=20)
# Threads of each web process, and as many for bots' turns. Calls that wait for jobs hold none.
WEB_THREADS = env.int("WEB_THREADS", default=320)
HOST, PORT = env.str("HOST", default="127.0.0.1"), env.int("PORT", default=8000)  # Where the web server listens.
WEB_WORKERS = env.int("WEB_WORKERS", default=1)
MAX_PENDING = env.int("MAX_PENDING", default=10_000_000)  # Beyond so many pending jobs new ones are refused. 0: never.

# --- Health and the sweep -------------------------------------------------------------------------------------

# How long a job may run before it is overdue, while its kind has no limit of its own.
DEFAULT_RUN_WITHIN = timedelta(seconds=env.int("DEFAULT_RUN_WITHIN_SECONDS", default=600))
# A bot that has not called for this long is down.
BOT_DOWN_AFTER = timedelta(seconds=env.int("BOT_DOWN_AFTER_SECONDS", default=120))
# A bot's last_seen_at is updated only when it is older than this, so that fast bots do not rewrite their row.
LAST_SEEN_EVERY = timedelta(seconds=env.int("LAST_SEEN_EVERY_SECONDS", default=5))
# With so many expiries in the window a bot gets no new jobs.
QUARANTINE_EXPIRIES = env.int("QUARANTINE_EXPIRIES", default=3)
QUARANTINE_WINDOW = timedelta(seconds=env.int("QUARANTINE_WINDOW_SECONDS", default=3600))
# A job that expired under this number of different bots fails, whatever attempts are left. 0: no such limit.
HUNG_BOTS = env.int("HUNG_BOTS", default=3)
MAX_DEFERRALS = env.int("MAX_DEFERRALS", default=100)  # Times that bots may defer a job, in all.
SWEEP_BATCH = env.int("SWEEP_BATCH", default=1000)
# Batches that a sweep runs at a time, each on its own connection.
SWEEP_WORKERS = env.int("SWEEP_WORKERS", default=2)
# Old finished jobs that a sweep deletes at most. 0: only `manage.py prune` deletes.
PRUNE_MOST = env.int("PRUNE_MOST", default=20_000)

# --- Incidents ------------------------------------------------------------------------------------------------

# How long a due job may wait before an incident opens, while its kind has no limit of its own. 0: for ever.
DEFAULT_WAIT_WITHIN = timedelta(seconds=env.int("DEFAULT_WAIT_WITHIN_SECONDS", default=3600))
# A bot that goes down opens an incident only if it called within this time.
BOT_MISSED_WITHIN = timedelta(seconds=env.int("BOT_MISSED_SECONDS", default=86400))
# No sweep has finished for this long: it is late.
SWEEP_LATE_AFTER = timedelta(seconds=env.int("SWEEP_LATE_SECONDS", default=300))
# URL called after each sweep, with `/fail` appended when it failed. Empty: none.
SWEEP_HEARTBEAT_URL = env.str("SWEEP_HEARTBEAT_URL", default="")
# An incident resolves when its cause has been gone for this long.
INCIDENT_CLEAR_FOR = timedelta(seconds=env.int("INCIDENT_CLEAR_SECONDS", default=180))
# It reopens when the cause returns within this time.
INCIDENT_REOPEN_WITHIN = timedelta(seconds=env.int("INCIDENT_REOPEN_SECONDS", default=900))
# Channels are notified of bots that join an incident at most this often.
INCIDENT_WORSE_EVERY = timedelta(seconds=env.int("INCIDENT_WORSE_SECONDS", default=60))
# Incidents that resolved longer ago are deleted with their deliveries. 0: never.
INCIDENTS_KEPT = timedelta(days=env.int("INCIDENTS_KEPT_DAYS", default=90))

# --- Claims ---------------------------------------------------------------------------------------------------

# A claim that searches longer than this makes its process remember the position of jobs (jobs/turns/frontier.py).
CLAIM_SLOW = timedelta(milliseconds=env.int("CLAIM_SLOW_MS", default=20))

# How many long polls each process holds open; further ones are asked to retry later.
MAX_WAITERS = env.int("MAX_WAITERS", default=4000)
# How many of them one bot may hold.
MAX_WAITERS_PER_BOT = env.int("MAX_WAITERS_PER_BOT", default=64)
# Where to LISTEN for new jobs, when DATABASE_URL leads to a pooler in transaction mode.
LISTEN_DATABASE_URL = env.str("LISTEN_DATABASE_URL", default="")

# --- Alerts ---------------------------------------------------------------------------------------------------

# Where people reach this site, for the links in messages: https://jobs.example.org
SITE_URL = env.str("SITE_URL", default="")
SITE_URL = SITE_URL.rstrip("/")
# Channels may have addresses inside the network.
ALERTS_ALLOW_PRIVATE = env.bool("ALERTS_ALLOW_PRIVATE", default=False)
# A new timeline of the same cluster holds alerts back, as a restore does. 0 where standbys are promoted by themselves.
PROMOTION_HOLDS_ALERTS = env.bool("PROMOTION_HOLDS_ALERTS", default=True)

# --- Metrics --------------------------------------------------------------------------------------------------

# How many kinds have their own series on /metrics; the others share one, so that the number of series is bounded.
METRICS_KINDS = env.int("METRICS_KINDS", default=50)
# Who may read /metrics: the bearer of this token, and keys of users with jobs.view_job; or everybody.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
METRICS_OPEN = env.bool("METRICS_OPEN", default=False)
# Folder in which the processes of one server share their metrics. prometheus_client reads the same variable itself.
METRICS_DIR = env.str("PROMETHEUS_MULTIPROC_DIR", default="")

# --- Logging --------------------------------------------------------------------------------------------------

# One JSON object a line, or plain lines for people; empty: JSON, unless this is development.
LOG_FORMAT = env.str("LOG_FORMAT", default="") or ("line" if DEBUG else "json")
if LOG_FORMAT not in ("json", "line"):
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}; it may be json or line.")
# A request that takes longer, the wait of a long poll left out, gets a line.
SLOW_REQUEST = timedelta(milliseconds=env.int("SLOW_REQUEST_MS", default=1000))

LOGGING_CONFIG = "jobsite.logs.configure"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "jobsite.logs.JsonFormatter"},
        "line": {
            "()": "jobsite.logs.LineFormatter",
            "format": "{asctime} {levelname} {name} {message}",
            "style": "{",
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
}
