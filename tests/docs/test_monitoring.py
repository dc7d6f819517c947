"""Rules, dashboard and docs name only what `/metrics` has, and the docs name all of it."""

import json
import re
import shutil
import subprocess
from datetime import timedelta

import pytest
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from jobs.stats import rollup
from tests.cast import take_one
from tests.docs.reading import ROOT, table, text_of, word, words

HERE = ROOT / "docs" / "monitoring"
RULES, RULES_TEST, DASHBOARD = "jobsite.rules.yml", "jobsite.rules.test.yml", "jobsite.dashboard.json"
NAME = re.compile(r"\bjobsite_[a-z0-9_]+")
LABELS = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian: prometheus) is not installed")


@pytest.fixture
def families(client, ada, settings):
    """What /metrics has: `{family as it is named in queries: (type, labels)}`."""
    settings.METRICS_OPEN = True
    rollup.add_closed_minutes(timezone.now() - timedelta(hours=1))
    take_one(ada).complete()
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=5))
    client.get("/livez")
    found = {}
    for family in text_string_to_metric_families(client.get("/metrics").content.decode()):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = (family.type, labels)
    return found


def series(families):
    """Every name that a query may use."""
    names = set(families)
    for name, (kind, _) in families.items():
        if kind == "histogram":
            names |= {name + end for end in ("_bucket", "_count", "_sum")}
    return names


def panels():
    return json.loads((HERE / DASHBOARD).read_text(encoding="utf-8"))["panels"]


def queries():
    """Every query of the dashboard, with its variables filled in."""
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "5m").replace("$kind", ".*")


@pytest.mark.parametrize("name", [RULES, RULES_TEST, DASHBOARD])
def test_each_metric_that_is_named_is_there(name, families):
    text = (HERE / name).read_text(encoding="utf-8")
    named = set(NAME.findall(text))
    assert len(named) >= 5
    assert named - series(families) == set()


def test_each_metric_that_the_docs_name_is_there(families):
    for page in ("docs/operations.md", "docs/decisions/0010-statistics.md"):
        named = {name for name in NAME.findall(text_of(page)) if not (ROOT / name).exists()}
        assert named - series(families) - {"jobsite_exchange"} == set()


def test_the_table_of_metrics_is_what_is_there(families):
    listed = {
        word(row["metric"]): (row["type"], set(words(row["labels"]))) for row in table("docs/operations.md", "metric")
    }
    assert set(listed) == set(families)
    for name, (kind, labels) in listed.items():
        assert kind == families[name][0], name
        assert labels == families[name][1], name


def test_queries_use_only_labels_that_there_are(families):
    known = {label for _, labels in families.values() for label in labels} | {"le", "instance"}
    exprs = [*queries(), *re.findall(r"expr: (.*(?:\n {10}.*)*)", (HERE / RULES).read_text(encoding="utf-8"))]
    assert len(exprs) > 30
    for expr in exprs:
        assert set(LABELS.findall(expr)) <= known, expr
        grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expr) for label in group.split(",")}
        assert grouped <= known, expr


def test_each_alert_says_how_bad_and_what_it_is():
    text = (HERE / RULES).read_text(encoding="utf-8")
    alerts = text.count("- alert: ")
    assert alerts >= 10
    assert text.count("labels: {severity: ") == text.count("          summary: ") == alerts
    assert set(re.findall(r"severity: (\w+)", text)) == {"critical", "warning"}


def test_the_dashboard_is_one_that_grafana_reads():
    board = json.loads((HERE / DASHBOARD).read_text(encoding="utf-8"))
    assert board["title"] == "Jobsite"
    assert board["schemaVersion"] >= 39
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids)) >= 15
    names = {variable["name"] for variable in board["templating"]["list"]}
    text = json.dumps(board)
    assert set(re.findall(r"\$\{?([a-z]\w*)", text)) - {"__rate_interval", "__all"} == names
    taken = set()
    for panel in board["panels"]:
        assert panel["type"] in {"stat", "timeseries"}
        assert panel["title"] and panel["targets"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@promtool
def test_promtool_finds_the_rules_in_order_and_they_fire_as_they_should():
    for command in (["check", "rules", RULES], ["test", "rules", RULES_TEST]):
        done = subprocess.run(["promtool", *command], cwd=HERE, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stdout


@promtool
def test_prometheus_can_read_each_query_of_the_dashboard(tmp_path):
    rules = [{"record": f"panel:{n}", "expr": expr} for n, expr in enumerate(queries())]
    path = tmp_path / "queries.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_of_a_log_line_in_the_docs_has_the_form_of_ours():
    (example,) = re.findall(r'^\{"time"[^}]*\}$', text_of("docs/operations.md"), flags=re.M)
    line = json.loads(example)
    assert list(line)[:4] == ["time", "level", "logger", "message"]
    assert {"request_id", "job", "attempt", "bot", "bot_id", "verb"} <= set(line)
