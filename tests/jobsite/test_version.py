"""One version is in the command line, the API's document, the probes and the console's footer, and in the changes."""

import re
import subprocess
import sys

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobsite.lib.version import VERSION
from jobsite.urls import api
from tests.docs.reading import ROOT, text_of


def test_the_command_line_prints_it() -> None:
    for argument in ("version", "--version"):
        command = [sys.executable, "manage.py", argument]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == f"{VERSION}\n"


def test_the_document_of_the_api_has_it() -> None:
    assert api.get_openapi_schema()["info"]["version"] == VERSION


@pytest.mark.django_db
def test_probes_have_it(client: Client) -> None:
    assert {client.get(path)["Jobsite-Version"] for path in ("/livez", "/readyz")} == {VERSION}


@pytest.mark.django_db
def test_people_who_are_logged_in_see_it_at_the_foot_of_each_page(client: Client, olga: User) -> None:
    assert f"Jobsite {VERSION}" not in client.get("/admin/login/").content.decode()
    client.force_login(olga)
    for path in ("/admin/", "/admin/jobs/job/", "/admin/your-login/"):
        (footer,) = re.findall(r"<footer.*?</footer>", client.get(path).content.decode(), flags=re.S)
        assert f"Jobsite {VERSION}" in footer, path


def test_changes_and_upgrading_begin_with_it() -> None:
    for page in ("CHANGELOG.md", "UPGRADING.md"):
        (first, *_) = re.findall(r"^## (\S+)", text_of(page), flags=re.M)
        assert first == VERSION, page
    assert f"Version {VERSION}," in text_of("README.md")
