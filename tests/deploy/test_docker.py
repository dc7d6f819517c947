"""The image and the compose file, as far as they can be checked without a container engine."""

import fnmatch
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from jobsite import probes
from jobsite.serving.command_line import KILL_TIMEOUT
from tests.docs.reading import ROOT, text_of

HERE = ROOT / "deploy/docker"
#: Those of the image's two base systems, and of compose itself.
OTHERS = {"PATH", "PYTHONUNBUFFERED", "DATABASE_PASSWORD", "PORT", "LANG", "SSL_CERT_FILE"}


def instructions() -> list[tuple[str, str]]:
    """Every instruction of the Dockerfile with its arguments."""
    text = re.sub(r"^#.*\n", "", text_of("deploy/docker/Dockerfile"), flags=re.M).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in text.splitlines() if line.strip()]


def of(name: str) -> list[str]:
    return [" ".join(arguments.split()) for instruction, arguments in instructions() if instruction == name]


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load(text_of("deploy/docker/compose.yaml")))


def copied() -> list[str]:
    """What the image takes from the project."""
    return [path for line in of("COPY") if not line.startswith("--from") for path in line.split()[:-1]]


def listed_settings() -> set[str]:
    return set(re.findall(r'env\.\w+\("(\w+)"', text_of("jobsite/settings.py")))


def test_what_it_copies_is_there_and_is_not_ignored() -> None:
    rules = [line for line in text_of(".dockerignore").splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    assert sorted(copied()) == sorted(allowed)
    assert [path for path in copied() if not (ROOT / path).exists()] == []
    assert not [path for path in (".env", ".postgres", ".git") for rule in allowed if fnmatch.fnmatch(path, rule)]


def test_its_command_is_what_make_serve_runs() -> None:
    (command,) = of("CMD")
    assert json.loads(command) == ["python", "manage.py", "serve"]
    assert "\t@exec $(BIN)/python manage.py serve\n" in text_of("Makefile")
    assert "HOST=0.0.0.0" in " ".join(of("ENV"))


def test_it_runs_as_nobody_special_and_without_what_built_it() -> None:
    assert of("USER") == ["10001"]
    assert (len(of("FROM")), of("FROM")[-1]) == (2, "scratch")
    assert "--from=build /image /" in of("COPY")
    assert "RUN" not in text_of("deploy/docker/Dockerfile").split("FROM ")[-1]
    assert "--require-hashes -r requirements.txt" in " ".join(of("RUN"))


def test_its_health_is_a_probe() -> None:
    (check,) = of("HEALTHCHECK")
    (url,) = re.findall(r"http://127.0.0.1:8000(/\w+)'", check)
    assert url in probes.PATHS
    assert of("EXPOSE") == ["8000"]


@pytest.mark.timeout(60)
def test_what_it_copies_is_enough_to_collect_static_files(tmp_path: Path) -> None:
    for path in copied():
        source = ROOT / path
        ignore = shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, tmp_path / path, ignore=ignore)
        else:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, tmp_path / path)
    (step,) = [line for line in of("RUN") if "collectstatic" in line]
    env = dict(re.findall(r"(\w+)=(\S+)", step.split(".venv")[0]))
    command = [sys.executable, *re.findall(r"\.venv/bin/python (manage.py .*?) &&", step)[0].split()]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".static/staticfiles.json").is_file()


@pytest.fixture
def root() -> Any:
    """The program that copies what the image needs of the system."""
    specification = importlib.util.spec_from_file_location("root", HERE / "root.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the root directory")
@pytest.mark.long
def test_python_works_in_the_tree_that_becomes_the_image(
    root: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, tree = tmp_path / "project", tmp_path / "tree"
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/bin/python").symlink_to(os.path.realpath(sys.executable))
    (project / ".static").mkdir()
    (project / ".static/staticfiles.json").write_text('{"paths": {"a.css": "a.1b2c.css", "b.txt": "b.txt"}}')
    for name in ("a.css", "a.css.gz", "a.1b2c.css", "a.1b2c.css.gz", "b.txt"):
        (project / ".static" / name).touch()
    monkeypatch.setattr(root, "PROJECT", project)
    root.main(tree)
    tried = "import ctypes, pwd, sqlite3, ssl, zlib; print(ssl.create_default_context().cert_store_stats()['x509'] > 1)"
    env = {"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
    command = ["/usr/sbin/chroot", "--userspec=10001:10001", str(tree), f"{project}/.venv/bin/python", "-c", tried]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert not (tree / "bin/sh").exists()
    static = sorted(path.name for path in (tree / str(project).lstrip("/") / ".static").iterdir())
    assert static == ["a.1b2c.css", "a.1b2c.css.gz", "b.txt", "staticfiles.json"]


def test_every_service_has_a_command_that_is_there() -> None:
    services = compose()["services"]
    assert set(services) == {"db", "migrate", "web-1", "web-2", "sweep", "alerts", "proxy"}
    for name in ("migrate", "sweep", "alerts"):
        python, manage, command, *_ = services[name]["command"]
        assert (python, manage) == ("python", "manage.py")
        assert command in get_commands()
    for service in services.values():
        for needed in service.get("depends_on", {}):
            assert needed in services


def test_our_services_are_given_settings_that_are_there_and_little_else() -> None:
    own = [service for service in compose()["services"].values() if service["image"] == "jobsite"]
    assert len(own) == 5
    for service in own:
        assert set(service["environment"]) <= listed_settings()
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert "no-new-privileges:true" in service["security_opt"]
        assert int(service["stop_grace_period"].removesuffix("s")) > KILL_TIMEOUT
    (build,) = {json.dumps(service["build"]) for service in own}
    assert (HERE / json.loads(build)["context"]).resolve() == ROOT
    assert (ROOT / json.loads(build)["dockerfile"]).is_file()


def test_variables_of_the_image_are_settings() -> None:
    named = {name for line in of("ENV") for name in re.findall(r"(\w+)=", line)}
    assert named - OTHERS <= listed_settings()
    asked = set(re.findall(r"\$\{(\w+)", text_of("deploy/docker/compose.yaml")))
    assert asked - OTHERS <= listed_settings()
    assert set(re.findall(r"^(\w+)=", text_of("deploy/docker/.env.example"), flags=re.M)) <= asked


def test_the_proxy_has_both_web_servers_in_the_projects_configuration() -> None:
    proxy = compose()["services"]["proxy"]
    source, target, _ = proxy["volumes"][0].split(":")
    conf = (HERE / source).resolve().read_text(encoding="utf-8")
    old, new = re.findall(r"sed 's/([^/]*)/([^/]*)/' (\S+)", proxy["command"][2])[0][:2]
    assert target in proxy["command"][2]
    assert re.findall(r"server ([\w-]+):8000;", conf.replace(old, new)) == ["web-1", "web-2"]
