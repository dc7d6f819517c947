"""The Django app of the console, in place of `django.contrib.admin`. Refuses settings that would let anybody in."""

from django.conf import settings
from django.contrib.admin.apps import AdminConfig
from django.core.exceptions import ImproperlyConfigured

#: Addresses of a provider that others cannot read along with.
SAFE = ("https://", "http://127.0.0.1:", "http://localhost:")


class ConsoleConfig(AdminConfig):
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
        super().ready()
