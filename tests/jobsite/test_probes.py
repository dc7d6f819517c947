"""The probes say whether the process is alive and whether it can do its work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone

from jobsite.models import Site

ROOT = Path(__file__).resolve().parents[2]

ASK = """
import django, json
django.setup()
from django.test import Client
for path in ("/livez", "/readyz"):
    answer = Client(headers={"host": "localhost"}).get(path)
    print(answer.status_code, answer.headers["Content-Type"], answer.content.decode())
"""


def test_livez_answers_without_the_database(client: Client) -> None:
    # Without the mark django_db every query is an error.
    answer = client.get("/livez")
    assert (answer.status_code, answer.content) == (200, b"ok")


@pytest.mark.django_db
def test_readyz_is_ok_when_the_database_has_every_migration(client: Client) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.content) == (200, b"ok")
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_readyz_names_the_migrations_that_were_not_applied(client: Client) -> None:
    MigrationRecorder(connection).record_unapplied("bots", "0003_validate_health_status")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "migrations_unapplied"
    assert "bots.0003_validate_health_status" in answer.json()["detail"]


@pytest.mark.django_db
def test_readyz_says_that_alerts_are_held_back_and_fails_only_where_asked_strictly(client: Client) -> None:
    Site.objects.update_or_create(pk=1, defaults={"alerts_held_since": timezone.now()})
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.content.decode().startswith("ok\nalerts held back since ")
    strict = client.get("/readyz?strict=1")
    assert (strict.status_code, strict.json()["code"]) == (503, "alerts_held")
    assert strict.json()["detail"].startswith("Alerts held back since ")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_are_only_read(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
    assert client.head(path).status_code == 200


def test_a_database_that_is_away_makes_readyz_503_and_leaves_livez_alone() -> None:
    # A process of its own, whose database is a port where nobody listens.
    env = os.environ | {
        "DATABASE_URL": "postgres://nobody:secret@127.0.0.1:1/none",
        "DATABASE_POOL_TIMEOUT": "1",
        "DJANGO_SETTINGS_MODULE": "jobsite.settings",
        "DEBUG": "1",
    }
    done = subprocess.run([sys.executable, "-c", ASK], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    live, ready = done.stdout.splitlines()
    assert live == "200 text/plain ok"
    status, content_type, body = ready.split(" ", 2)
    assert (status, content_type) == ("503", "application/problem+json")
    assert json.loads(body)["code"] == "database_unreachable"
    assert "nobody" not in body


def test_probes_answer_whatever_host_they_are_called_by(db):
    assert Client().get("/livez", headers={"host": "10.1.2.3"}).status_code == 200
    assert Client().get("/readyz", headers={"host": "10.1.2.3"}).status_code == 200


def test_probes_are_not_sent_to_https(db, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get("/livez").status_code == 200
