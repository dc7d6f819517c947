"""Make the WSGI application that the web server runs: `jobsite.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobsite.settings")

_django = get_wsgi_application()

from jobs.schedules import thread  # noqa: E402  after the apps are loaded
from jobs.turns import shutdown  # noqa: E402
from jobsite import metrics  # noqa: E402
from jobsite.entry import Entry  # noqa: E402

application = Entry(_django)

shutdown.answer_at_shutdown()
metrics.sample_for_ever()
thread.fire_for_ever()
