"""Whatever stands in the address of a call is an answer or a refusal, and never a failure of the server."""

import pytest

from tests.jobsite.odd_values import FEW, ODD

CALLS = {
    "/jobs": ("status", "kind", "bot", "limit", "cursor", "key", "zz", "%00"),
    "/bots": ("status", "health", "limit", "cursor", "zz"),
    "/incidents": ("status", "kind", "limit", "cursor", "zz"),
    "/scale": ("kind", "zz"),
    "/stuck": ("zz",),
    "/jobs/1/events": ("limit", "cursor"),
    "/jobs/1/explain": ("zz",),
}
PATHS = ("/jobs/ID", "/jobs/ID/events", "/jobs/ID/explain", "/bots/ID", "/incidents/ID", "/ID")


@pytest.mark.parametrize("call", CALLS)
def test_an_odd_parameter_of_a_call_is_no_failure(client, olga_key, call):
    headers = {"Authorization": f"Bearer {olga_key}"}
    for name in CALLS[call]:
        for value in FEW:
            assert client.get(f"/api/v1{call}?{name}={value}", headers=headers).status_code < 500


def test_an_odd_id_in_the_path_of_a_call_is_no_failure(client, olga_key):
    headers = {"Authorization": f"Bearer {olga_key}"}
    for path in PATHS:
        for value in (one for one in ODD if one):
            assert client.get(f"/api/v1{path.replace('ID', value)}", headers=headers).status_code < 500
