"""A list of the admin is filtered by its own filters alone: no look-up reads a column that no page shows."""

import pytest

from alerts.models import Channel
from jobsite.lib.admin import GuardedActions
from tests.far_side import a_channel
from tests.jobsite.admin.addresses import SITE, address, failed, of_each_model
from tests.jobsite.odd_values import FEW, LOOK_UPS

pytestmark = pytest.mark.django_db


def columns(model):
    """Every column of a model, and those of the models it refers to."""
    for field in model._meta.get_fields():
        yield field.name
        if field.is_relation and field.related_model:
            yield from (f"{field.name}__{other.name}" for other in field.related_model._meta.get_fields())


def look_ups(model):
    return [name for c in columns(model) for name in (c, *(f"{c}__{look_up}" for look_up in LOOK_UPS))]


@of_each_model
def test_every_page_of_a_model_is_guarded(model):
    assert isinstance(SITE.get_model_admin(model), GuardedActions)


@pytest.mark.parametrize("look_up", ["secret__regex=^4", "secret__startswith=4", "secret=4", "address__contains=s"])
def test_nobody_reads_a_channels_secret_by_filtering_for_it(client, vera, look_up):
    a_channel("slack://a/b/c")
    Channel.objects.update(secret="4" * 64)
    client.force_login(vera)
    response = client.get(f"{address(Channel, 'changelist')}?{look_up}")
    assert response.status_code == 400
    assert f"Filtering by {look_up.split('=')[0]} not allowed" in response.content.decode()


@of_each_model
@pytest.mark.usefixtures("filled")
def test_a_list_is_filtered_by_what_its_page_offers_and_nothing_else(root, model):
    page, url = SITE.get_model_admin(model), address(model, "changelist")
    offered = {
        item if isinstance(item, str) else item.parameter_name if isinstance(item, type) else item[0]
        for item in page.list_filter
    }
    allowed = {name for name in look_ups(model) if page.lookup_allowed(name, "1")}
    assert not {name for name in allowed if not any(name == own or name.startswith(f"{own}__") for own in offered)}
    assert not {name for name in allowed if name.endswith(("regex", "contains", "startswith", "endswith", "gt", "in"))}
    # The list of jobs and the history have filters of their own, and ignore what they do not know.
    answer = 200 if model._meta.label in {"jobs.Job", "jobs.JobEvent"} else 400
    refused = sorted(set(look_ups(model)) - allowed)
    some = refused[:: max(1, len(refused) // 40)] if answer == 400 else refused[:3]
    assert {root.get(f"{url}?{name}=1").status_code for name in some} == {answer}


@of_each_model
@pytest.mark.usefixtures("filled")
def test_an_odd_value_of_a_filter_is_no_failure(root, model):
    page, url = SITE.get_model_admin(model), address(model, "changelist")
    names = sorted({name for name in look_ups(model) if page.lookup_allowed(name, "1")})
    names += [str(item.parameter_name) for item in page.list_filter if isinstance(item, type)]
    assert failed(root, [f"{url}?{name}={value}" for name in names for value in FEW]) == []
    assert failed(root, [f"{url}?{name}=1&{name}=zz&{name}=%00" for name in names]) == []


def test_a_filter_that_cannot_be_used_is_left_out_with_a_message(root):
    response = root.get("/admin/bots/bot/?paused__exact=zz", follow=True)
    assert response.redirect_chain == [("/admin/bots/bot/?e=1", 302)]
    assert "could not be used" in response.content.decode()
    assert root.get("/admin/bots/bot/?e=1&paused__exact=zz").status_code == 302
