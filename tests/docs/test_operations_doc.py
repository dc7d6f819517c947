"""`docs/operations.md` lists every setting, with its default, and its figures are the code's."""

import ast
import re
from datetime import timedelta
from typing import get_args

from alerts import ping
from alerts.incidents import detectors, failure_rate, reconcile
from alerts.models import Channel, Delivery, Incident
from alerts.states import Cause
from bots import health
from bots.models import ApiKey, Bot
from jobs.models import JobKind
from jobs.stats import learned
from jobs.sweep import verdicts
from jobsite.lib import durations
from tests.docs.reading import ROOT, table, text_of, word

DOC = "docs/operations.md"


def reads():
    """`{name: default}` of every `env.…("NAME", default=…)` in the settings; a default that is no literal is None."""
    tree = ast.parse((ROOT / "jobsite" / "settings.py").read_text(encoding="utf-8"))
    found = {}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("env.") and node.args):
            continue
        name = node.args[0]
        if isinstance(name, ast.Constant):
            default = next((word.value for word in node.keywords if word.arg == "default"), None)
            found[name.value] = default and ast.unparse(default)
    return found


def settings_rows():
    return {word(row["variable"]): row["default"] for row in table(DOC, "variable", "default")}


def test_every_setting_that_is_read_is_listed_and_no_other():
    assert set(settings_rows()) == set(reads())
    assert len(reads()) > 20


def test_defaults_are_those_of_the_code():
    for name, shown in settings_rows().items():
        code = reads()[name]
        if name in {"SECRET_KEY", "DATABASE_URL", "HTTPS"}:
            continue  # these depend on others
        value = eval(code, {})  # numbers and lists of our own settings
        if value in ("", [], None):
            expected = "empty"
        elif isinstance(value, list):
            expected = f"`{','.join(value)}`"
        else:
            expected = f"`{int(value) if isinstance(value, bool | int) else value}`"
        assert shown == expected, name


def test_health_table_is_the_codes(settings):
    for row in table(DOC, "signal", "limit", "default"):
        limit = JobKind._meta.get_field(word(row["limit"])).get_default() or settings.DEFAULT_RUN_WITHIN
        assert row["default"].removesuffix(", or learned") == durations.words(limit)
        if row["at three times the limit"]:
            assert f"at {durations.words(health.UNHEALTHY_AT * limit)}" in row["at three times the limit"]
    policies = {word(row["limit"]): row["at three times the limit"] for row in table(DOC, "signal", "limit", "default")}
    assert JobKind().when_silent == "release" and "expires" in policies["heartbeat_within"]
    assert JobKind().when_overdue == "flag" and "`flag`" in policies["run_within"]


def test_the_rule_of_learned_limits_is_the_codes():
    text = " ".join(text_of(DOC).split())
    assert f"There must be {learned.ENOUGH} successes for it" in text
    assert f"the last {learned.BLOCK} to 1 000 successes" in text and learned.BLOCK == 500
    assert f"A run time is known to within {learned.ERROR:.0%}".replace("%", " %") in text
    # `tests/jobs/stats/test_learned.py` tries these.
    assert "after 11 jobs, or, when it does more than 50 in a minute, with the next minute that closes" in text
    assert "1 000 jobs and those of three minutes" in text
    assert learned.TIMES * health.UNHEALTHY_AT == 9 and "nine times the 99th percentile" in text


def test_actions_of_a_dry_run_are_the_codes():
    shown = {word(row["action"]) for row in table(DOC, "action", "means")}
    assert shown == set(get_args(verdicts.Action)) | {"quarantine", "down"}


def test_probes_are_the_sites(client, db):
    for row in table(DOC, "path", "200 when"):
        assert client.get(word(row["path"])).status_code == 200


def test_causes_are_the_codes_in_their_order():
    assert [word(row["cause"]) for row in table(DOC, "cause", "is about")] == Cause.values


def test_figures_of_incidents_are_the_codes(settings):
    text = " ".join(text_of(DOC).split())
    assert f"at least {failure_rate.MIN_ENDED} ended and {failure_rate.MIN_FAILED} failed" in text
    assert f"at least {failure_rate.MIN_PAST} ended on the day before" in text and failure_rate.MIN_FACTOR == 2
    assert f"grown by {failure_rate.MIN_GROWTH * 100:.0f} points" in text
    decision = " ".join(text_of("docs/decisions/0013-incidents.md").split())
    assert f"above zero at {failure_rate.OPEN_CONFIDENCE} standard deviations. At 2 it stays open." in decision
    assert failure_rate.STAY_OPEN_CONFIDENCE == 2
    assert f"The last {durations.words(detectors.RECENT).replace(' m', ' minutes')}" in text
    assert detectors.BASELINE.days == 1
    assert detectors.CRITICAL_SHARE == 0.5 and health.UNHEALTHY_AT == 3
    assert timedelta(minutes=3) == settings.INCIDENT_CLEAR_FOR and "for 3 minutes (`INCIDENT_CLEAR_SECONDS`)" in text
    assert timedelta(minutes=15) == settings.INCIDENT_REOPEN_WITHIN
    assert f"at most {2**reconcile.MAX_DOUBLINGS} times" in text
    assert f"It gets {ping.TIMEOUT:.0f} seconds" in text


def test_permissions_named_here_exist():
    named = set(re.findall(r"`((?:bots|alerts)\.[a-z]\w+_\w+)`", text_of(DOC)))
    bots = ("bot", "apikey", "auditentry", "login", "secondfactor")
    models = {"alerts": ("incident", "channel", "delivery"), "bots": bots}
    plain = [
        f"{app}.{verb}_{name}" for app in models for verb in ("add", "change", "delete", "view") for name in models[app]
    ]
    real = set(plain) | {
        f"{model._meta.app_label}.{codename}"
        for model in (Bot, ApiKey, Incident, Channel, Delivery)
        for codename, _ in model._meta.permissions
    }
    assert named and named <= real
