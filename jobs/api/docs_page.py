"""The page `/api/v1/docs`: the loop of a bot, the calls by Swagger UI, and every error at its anchor."""

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from ninja import NinjaAPI
from ninja.openapi.docs import DocsBase

from jobs.api.document.answers import sentence_of
from jobsite.lib.errors import JobsiteError


class Docs(DocsBase):
    """The readable docs. Everything on the page comes from this server."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        context = {
            "api": api,
            "document": self.get_openapi_url(api, kwargs),
            "root": request.build_absolute_uri("/api/v1"),
            "errors": [_shown(error) for error in sorted(every_error(), key=lambda error: (error.status, error.code))],
        }
        return render(request, "api/docs.html", context)


def every_error(base: type[JobsiteError] = JobsiteError) -> Iterator[type[JobsiteError]]:
    """The classes of all errors that have a code of their own."""
    for error in base.__subclasses__():
        if "code" in vars(error):
            yield error
        yield from every_error(error)


def _shown(error: type[JobsiteError]) -> dict[str, Any]:
    return {
        "code": error.code, "status": error.status, "title": error.title, "sentence": sentence_of(error),
        "members": list(error.members), "retry_after": error.retry_after,
    }  # fmt: skip
