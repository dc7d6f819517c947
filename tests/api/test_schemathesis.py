"""Whatever a call is sent, it answers as the OpenAPI document says, by every check of Schemathesis for one call."""

from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import load_all_checks

from jobs.turns import idle, waiting
from jobsite.entry import Entry
from jobsite.lib.problems import DOCS

pytestmark = pytest.mark.timeout(170)
load_all_checks()
document = schemathesis.openapi.from_wsgi(f"{DOCS.rpartition('/')[0]}/openapi.json", Entry(WSGIHandler()))


@pytest.fixture
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that may wait are answered at once."""

    async def poll(*_: Any) -> tuple[None, bool]:
        return None, True

    monkeypatch.setattr(waiting, "poll", poll)
    monkeypatch.setattr(idle, "wait", lambda *_: None)


@document.parametrize()
@settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@pytest.mark.django_db
@pytest.mark.usefixtures("nobody_waits")
def test_a_call_keeps_to_the_document(case: Case, places: Any, ada_token: str, olga_key: str) -> None:
    schemes = [name for scheme in case.operation.definition.raw["security"] for name in scheme]
    case.headers["Authorization"] = f"Bearer {ada_token if schemes == ['botToken'] else olga_key}"
    if case.meta is not None and case.meta.generation.mode.is_positive:
        case.path_parameters.update({name: places[False][name] for name in case.path_parameters})
    case.call_and_validate()
