"""Requirements: one version of each package, and the hash of each file, so that two installs are the same."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKED = ("requirements.txt", "requirements-dev.txt", "requirements-docs.txt")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[a-z,-]+\])?==([^\s;\\]+)", re.M)


def pins(name: str) -> dict[str, str]:
    """The versions that a file names, by package as pip compares them."""
    found = _PIN.findall((ROOT / name).read_text())
    return {re.sub(r"[._]", "-", package).lower(): version for package, version in found}


@pytest.mark.parametrize("name", LOCKED)
def test_every_package_has_the_hash_of_its_files(name: str) -> None:
    text = (ROOT / name).read_text()
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.M).strip())
    assert len(entries) == len(pins(name)) > 20
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", LOCKED)
def test_what_is_asked_for_is_what_is_locked(name: str) -> None:
    asked, locked = pins(name.replace(".txt", ".in")), pins(name)
    assert asked
    assert {package: locked.get(package) for package in asked} == asked


def test_development_has_the_versions_of_production() -> None:
    production, development = (pins(name) for name in LOCKED[:2])
    assert {package: development.get(package) for package in production} == production
