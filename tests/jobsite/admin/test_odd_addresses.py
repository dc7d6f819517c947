"""Whatever stands in an address of the console is a page, a redirect or a refusal, never a failure of the server."""

import pytest

from jobs.admin.actions import INTERVENTIONS
from jobs.admin.release_patterns import TABLES
from tests.jobsite.admin.addresses import address, failed, of_each_model
from tests.jobsite.odd_values import FEW, ODD

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("filled")]
#: What Django's lists know besides filters.
OF_A_LIST = ("o", "p", "q", "all", "_to_field", "_changelist_filters", "zz")
#: An id as it stands in a path, where nothing may be empty.
IDS = tuple(value for value in ODD if value and len(value) < 2000)


@of_each_model
def test_an_odd_parameter_of_a_list_is_no_failure(root, model):
    url = address(model, "changelist")
    assert failed(root, [f"{url}?{name}={value}" for name in OF_A_LIST for value in FEW[1:6]]) == []
    assert failed(root, [f"{url}?o=1.-2.zz.99.{'9' * 30}&o=-", f"{url}?all=&p=zz&p=9&_popup=1&_to_field=id&e=1"]) == []


@of_each_model
@pytest.mark.parametrize("page", ["change", "history", "delete"])
def test_an_odd_id_is_no_failure(root, model, page):
    at = address(model, page, "ID")
    assert failed(root, [at.replace("ID", pk) for pk in IDS]) == []
    assert (
        failed(root, [f"{at}?{name}={value}".replace("ID", "1") for name in OF_A_LIST for value in ("%00", "zz")]) == []
    )


@of_each_model
def test_an_odd_first_value_of_a_form_is_no_failure(root, model):
    url, names = address(model, "add"), [field.name for field in model._meta.get_fields()]
    assert failed(root, [f"{url}?" + "&".join(f"{name}={value}" for name in names) for value in ODD]) == []


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2030-01-02T03:04Z", ["02/01/2030", "03:04:00"]),
        ("2030-01-02 03:04", ["02/01/2030", "03:04:00"]),
        ("2030-01-02", ["02/01/2030", "00:00:00"]),
        ("soon", []),
        ("2030-13-45", []),
        ("9999-12-31T23:59:59-23:00", []),
    ],
)
def test_a_form_begins_with_the_moment_of_its_address_or_with_none(root, at, shown):
    page = root.get("/admin/bots/apikey/add/", {"name": "laptop", "expires_at": at})
    form = page.context["adminform"].form
    assert form["name"].value() == "laptop"
    widgets = form["expires_at"].subwidgets[0].data["subwidgets"]
    assert [one["value"] for one in widgets if one["value"] is not None] == shown


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("/admin/", ("span", "next", "zz")),
        ("/admin/login/", ("next", "zz")),
        ("/admin/jobs/job/", ("view", "status", "kind", "q", "before", "after")),
        ("/admin/jobs/job/export/", ("format", "view", "status", "kind", "q", "before", "after")),
        ("/admin/jobs/job/upload/", ("format", "zz")),
        ("/admin/jobs/jobkind/sum/change/", ("span",)),
        ("/admin/jobs/jobevent/patterns/", ("range", "from", "to", "kind", "bot", "counted")),
        ("/admin/autocomplete/", ("term", "page", "app_label", "model_name", "field_name")),
        ("/admin/jsi18n/", ("zz",)),
        ("/", ("zz",)),
    ],
)  # fmt: skip
def test_an_odd_parameter_of_a_page_is_no_failure(root, url, names):
    def read(address):
        response = root.get(address)
        # An export is made while it is sent.
        return response.status_code, b"".join(response) if response.streaming else b""

    urls = [f"{url}?{name}={value}" for name in names for value in FEW]
    urls += [f"{url}?{'&'.join(f'{name}={value}' for name in names)}" for value in ODD]
    assert [address[:120] for address in urls if read(address)[0] >= 500] == []


SEARCHES = (
    "payload.%00=1", "payload.a=%00", "error:%00", "bot:%00", 'payload.a="%5Cu0000"', "payload.a=1e999",
    "payload.a.b.c=NaN", "payload.a=" + "[" * 400, "%22", "payload.=1", "key:", "#" + "9" * 40,
)  # fmt: skip


@pytest.mark.parametrize("q", SEARCHES)
def test_an_odd_search_of_jobs_is_no_failure(root, q):
    assert failed(root, [f"/admin/jobs/job/?q={q}", f"/admin/jobs/job/export/?q={q}"]) == []


def test_odd_ids_and_names_of_our_own_pages_are_no_failure(root):
    paths = [f"/admin/jobs/job/ID/{verb}/" for verb in INTERVENTIONS]
    paths += ["/admin/bots/bot/ID/rotate/", "/admin/alerts/channel/ID/test/", "/admin/alerts/channel/ID/secret/"]
    paths += ["/admin/jobs/jobevent/patterns/ID.csv", "/admin/r/ID/1/", "/admin/r/1/ID/", "/admin/ID/", "/ID"]
    paths += ["/admin/auth/user/ID/password/", "/admin/jobs/ID/", "/static/ID"]
    assert failed(root, [path.replace("ID", pk) for path in paths for pk in IDS]) == []


@pytest.mark.parametrize("table", [*TABLES, "zz", "%00"])
def test_odd_parameters_of_a_table_of_patterns_are_no_failure(root, table):
    names = ("range", "from", "to", "kind", "bot", "counted")
    for value in FEW:
        response = root.get(f"/admin/jobs/jobevent/patterns/{table}.csv?" + "&".join(f"{n}={value}" for n in names))
        assert response.status_code < 500
        assert b"".join(response) is not None
