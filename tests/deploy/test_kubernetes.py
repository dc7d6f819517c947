"""The example for Kubernetes asks for a call that there is, and reads a field of its answer."""

from pathlib import Path
from urllib.parse import urlsplit

import yaml

from jobs.api.document.examples import RECORDED

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes" / "keda.yaml"


def test_the_scaler_reads_a_number_of_the_scale_call() -> None:
    secret, scaled = yaml.safe_load_all(EXAMPLE.read_text(encoding="utf-8"))
    (trigger,) = scaled["spec"]["triggers"]
    asked = trigger["metadata"]
    assert urlsplit(asked["url"]).path == "/api/v1/scale"
    (answer,) = RECORDED["getScale"]["200"]
    assert isinstance(answer[asked["valueLocation"]], int)
    assert trigger["authenticationRef"]["name"] == secret["metadata"]["name"]
