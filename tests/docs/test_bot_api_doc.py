"""`docs/bot-api.md` documents every call and every error, and no other."""

import re

from alerts.incidents.acknowledge import REMARK_LENGTH
from alerts.models import Incident
from bots.models import MAX_CLAIM
from jobs import bounds, models
from jobs.api import schemas
from jobs.api.docs_page import every_error
from jobs.api.v1 import api
from jobsite.lib import strict_json
from tests.docs.reading import table, text_of, word

DOC = "docs/bot-api.md"


def calls():
    """`METHOD path` of every call in the OpenAPI schema."""
    paths = api.get_openapi_schema()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def chapters():
    """Each call's chapter: its heading, as `METHOD path`, and its text."""
    parts = re.split(r"^### `((?:GET|POST|PUT|PATCH|DELETE) [^`]+)`$", text_of(DOC), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_call_is_documented_and_every_documented_call_is_there():
    assert set(chapters()) == calls()


def test_every_call_has_a_curl_that_calls_it():
    for call, text in chapters().items():
        method, path = call.split()
        pattern = re.sub(r"\\{\w+\\}", r"[\\w-]+", re.escape(path.removeprefix("/api/v1")))
        curls = re.findall(rf'^curl -s "?\$API{pattern}(?:\?[^"]*)?"? .*$', text, flags=re.M)
        assert curls, call
        assert [method_of(curl) for curl in curls] == [method] * len(curls), call


def method_of(curl):
    """The method that a line with curl uses."""
    named = re.search(r" -X ([A-Z]+)", curl)
    return named[1] if named else "POST" if " -d '" in curl else "GET"


def test_every_field_of_a_call_is_named_in_its_chapter():
    schema = api.get_openapi_schema()
    for call, text in chapters().items():
        method, path = call.split()
        body = schema["paths"][path][method.lower()].get("requestBody")
        if body is None:
            continue
        names = re.findall(r"schemas/(\w+)", str(body))
        fields = {name for schema_name in names for name in schema["components"]["schemas"][schema_name]["properties"]}
        # Any of the operators' calls takes a reason; it is told where there is something to say about it.
        missing = {name for name in fields - {"reason"} if f"`{name}`" not in text and f'"{name}"' not in text}
        assert not missing, (call, missing)


def test_every_error_is_listed_with_its_status_and_no_other():
    listed = {word(row["code"]): int(row["status"]) for row in table(DOC, "code", "status")}
    assert listed == {error.code: error.status for error in every_error()}


def test_limits_are_those_of_the_settings(settings):
    units = {"KiB": 1024, "MiB": 1024 * 1024, "million": 1_000_000}
    for row in table(DOC, "what", "at most", "setting"):
        if row["setting"]:
            number, unit = row["at most"].split()
            assert int(number) * units[unit] == getattr(settings, word(row["setting"])), row


def test_limits_in_the_code_are_those_of_the_page():
    shown = {row["what"]: int(re.sub(r"\D", "", row["at most"])) for row in table(DOC, "what", "at most", "setting")}
    assert shown["jobs in a bulk call"] == schemas.MAX_BULK
    assert shown["jobs in a claim"] == MAX_CLAIM
    assert shown["levels of nesting in JSON"] == strict_json.MAX_DEPTH
    assert shown["a reason, a note, a remark"] == bounds.REASON_LENGTH == bounds.NOTE_LENGTH == REMARK_LENGTH


def test_permissions_on_the_page_exist():
    named = set(re.findall(r"`((?:jobs|bots|alerts)\.\w+)`", text_of(DOC)))
    real = {"bots.view_auditentry", "jobs.add_job", "jobs.view_job", "bots.add_bot", "bots.change_bot", "bots.view_bot"}
    real |= {"alerts.view_incident", "jobs.delete_job", "jobs.view_errorgroup"}
    real |= {f"jobs.{verb}_schedule" for verb in ("add", "change", "delete", "view")}
    for model, app in (
        (models.Job, "jobs"),
        (models.JobKind, "jobs"),
        (models.Schedule, "jobs"),
        (models.ErrorGroup, "jobs"),
        (models.Bot, "bots"),
        (Incident, "alerts"),
    ):
        real |= {f"{app}.{codename}" for codename, _ in model._meta.permissions}
    assert named and named <= real
