"""The examples for Kubernetes: the scaler reads a field of a call; the chart's values agree with server and image."""

import re
from typing import Any
from urllib.parse import urlsplit

import yaml
from django.core.management import get_commands

from jobs.api.document.examples import RECORDED
from jobsite import probes
from jobsite.serving.command_line import KILL_TIMEOUT
from tests.deploy.test_docker import compose, listed_settings, of
from tests.docs.reading import text_of

VALUES: dict[str, Any] = yaml.safe_load(text_of("deploy/kubernetes/values.yaml"))
CONTAINERS: dict[str, dict[str, Any]] = {
    name: controller["containers"]["main"] for name, controller in VALUES["controllers"].items()
}


def test_the_scaler_reads_a_number_of_the_scale_call() -> None:
    secret, scaled = yaml.safe_load_all(text_of("deploy/kubernetes/keda.yaml"))
    (trigger,) = scaled["spec"]["triggers"]
    asked = trigger["metadata"]
    assert urlsplit(asked["url"]).path == "/api/v1/scale"
    (answer,) = RECORDED["getScale"]["200"]
    assert isinstance(answer[asked["valueLocation"]], int)
    assert trigger["authenticationRef"]["name"] == secret["metadata"]["name"]


def test_the_web_servers_are_asked_by_the_probes_that_there_are() -> None:
    asked = {kind: probe["spec"]["httpGet"] for kind, probe in CONTAINERS["web"]["probes"].items()}
    (port,) = map(int, of("EXPOSE"))
    assert asked == {
        kind: {"path": path, "port": port}
        for kind, path in (("liveness", "/livez"), ("readiness", "/readyz"), ("startup", "/livez"))
    }
    assert {there["path"] for there in asked.values()} <= set(probes.PATHS)
    assert VALUES["service"]["web"]["ports"]["http"]["port"] == port
    assert f'env.int("PORT", default={port})' in text_of("jobsite/settings.py")


def test_each_program_of_the_compose_file_is_there_with_its_command() -> None:
    services = compose()["services"]
    for name in ("sweep", "alerts", "migrate"):
        command = CONTAINERS[name]["command"]
        assert command == services[name]["command"]
        assert command[2] in get_commands()
    # The image's own.
    assert "command" not in CONTAINERS["web"]
    assert set(CONTAINERS) == {"web", "sweep", "alerts", "migrate"}


def test_they_are_given_settings_that_there_are() -> None:
    for container in CONTAINERS.values():
        assert set(container["env"]) <= listed_settings()
    (secrets,) = {tuple(re.findall(r"--from-literal=(\w+)=", text_of("deploy/kubernetes/values.yaml")))}
    assert secrets == ("SECRET_KEY", "DATABASE_URL")
    assert set(secrets) <= listed_settings()


def test_they_run_as_the_images_user_and_write_where_it_does() -> None:
    pod = VALUES["defaultPodOptions"]
    assert [str(pod["securityContext"]["runAsUser"])] == of("USER")
    assert pod["terminationGracePeriodSeconds"] > KILL_TIMEOUT
    for container in CONTAINERS.values():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
    mounts = {mount["path"] for volume in VALUES["persistence"].values() for mount in volume["globalMounts"]}
    web = compose()["services"]["web-1"]
    assert mounts == {*web["volumes"], *(tmpfs.partition(":")[0] for tmpfs in web["tmpfs"])}
