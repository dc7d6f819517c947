"""What programs and people outside rely on does not change unawares: calls, routes, commands and settings."""

import pytest
from django.test import Client
from ninja import NinjaAPI

from jobs.api import v1
from jobs.api.document import Document
from jobsite.urls import api
from tests.contract.surface import SNAPSHOTS, SURFACES


@pytest.mark.parametrize("name", SURFACES)
def test_the_contract_is_as_it_was(name: str) -> None:
    """A change that is meant: `python -m tests.contract.surface`, and a line in the CHANGELOG.

    Of migrations only a new one is meant: databases have run the others.
    """
    assert SURFACES[name]() == (SNAPSHOTS / name).read_text(encoding="utf-8")


@pytest.mark.django_db
def test_the_openapi_document_is_built_once_for_each_prefix(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []

    def counted(api: NinjaAPI, prefix: str) -> Document:
        built.append(prefix)
        return Document(api, prefix)

    monkeypatch.setattr(v1, "Document", counted)
    monkeypatch.setattr(api, "_documents", {})
    answers = [client.get("/api/v1/openapi.json").json() for _ in range(3)]
    assert built == ["/api/v1/"]
    assert answers[0] == answers[2] and "/api/v1/claim" in answers[0]["paths"]
    # Where the site is mounted at another path.
    assert "/jobs/api/v1/claim" in api.get_openapi_schema(path_prefix="/jobs/api/v1/")["paths"]
    assert built == ["/api/v1/", "/jobs/api/v1/"]
