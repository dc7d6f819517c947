"""The Django app of the console, in place of `django.contrib.admin`. Refuses settings that would let anybody in.

The pages are imported with the URLs (jobsite/urls.py) and by the check of them, and not at every start: a command that
cron runs each minute has none.
"""

from typing import Any

from django.conf import settings
from django.contrib.admin import autodiscover
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

#: Addresses of a provider that others cannot read along with.
SAFE = ("https://", "http://127.0.0.1:", "http://localhost:")


def check_pages(**options: Any) -> list[checks.CheckMessage]:
    """Check the pages of the admin, once they are there."""
    autodiscover()
    return list(check_admin_app(**options))


class ConsoleConfig(SimpleAdminConfig):
    """The admin with a site of our own."""

    default_site = "jobsite.console.site.ConsoleSite"

    def ready(self) -> None:
        if settings.OIDC_ISSUER and not (settings.OIDC_CLIENT_ID and settings.OIDC_CLIENT_SECRET):
            raise ImproperlyConfigured("OIDC_ISSUER needs OIDC_CLIENT_ID and OIDC_CLIENT_SECRET from the provider.")
        if settings.OIDC_ISSUER and not settings.OIDC_ISSUER.startswith(SAFE):
            raise ImproperlyConfigured("OIDC_ISSUER must begin with https://.")
        if settings.REMOTE_USER_HEADER and not settings.BEHIND_PROXY:
            raise ImproperlyConfigured(
                "REMOTE_USER_HEADER needs BEHIND_PROXY=1: without a proxy that sets the header, anybody can send it."
            )
        # As Django's own, but for the pages.
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(check_pages, checks.Tags.admin)
