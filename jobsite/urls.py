"""Route the API, the admin and Home. The probes answer before these URLs are tried (jobsite/probes.py)."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path
from django.views.generic import RedirectView

from alerts.api import router as incidents
from jobs.api.v1 import api

# `jobs.api.v1` builds the API without incidents, because jobs must not import alerts.
api.add_router("", incidents)

admin.autodiscover()

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/v1/", api.urls),
]

handler400 = "jobsite.console.error_pages.bad_request"
handler403 = "jobsite.console.error_pages.forbidden"
handler404 = "jobsite.console.error_pages.not_found"
handler500 = "jobsite.console.error_pages.server_error"
