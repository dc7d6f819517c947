"""Lists of jobs: views, search and pages, each at a bounded cost."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.lists import job_list
from jobs.lists.job_list import JobFilter, page
from jobs.lists.search import parse
from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db


def ids(job_filter):
    return [job.pk for job in page(job_filter).jobs]


def test_each_view_shows_its_own(ada, age):
    waiting = enqueue_one()
    later = enqueue_one(run_at=timezone.now() + timedelta(hours=1))
    held, stuck, failed = take_one(ada), take_one(ada), take_one(ada)
    failed.fail(retry=False)
    age(stuck, 3)
    assert ids(JobFilter(view="stuck")) == [stuck.id]
    assert ids(JobFilter(view="held")) == [stuck.id, held.id]
    assert ids(JobFilter(view="pending")) == [later.pk, waiting.pk]
    assert ids(JobFilter(view="scheduled")) == [later.pk]
    assert ids(JobFilter(view="failed")) == [failed.id]
    assert ids(JobFilter()) == [failed.id, stuck.id, held.id, later.pk, waiting.pk]
    views = job_list.counts(JobFilter()).views
    assert {name: count.n for name, count in views.items()} == {
        "stuck": 1, "held": 2, "pending": 2, "scheduled": 1, "failed": 1, "all": 5,
    }  # fmt: skip


def test_pages_go_on_where_the_last_one_ended_and_come_back(monkeypatch):
    monkeypatch.setattr(job_list, "PAGE", 3)
    jobs = [enqueue_one().pk for _ in range(8)]
    first = page(JobFilter())
    assert [job.pk for job in first.jobs] == jobs[:-4:-1]
    second = page(JobFilter(before=first.older))
    # A job that comes in meanwhile moves nothing.
    enqueue_one()
    assert [job.pk for job in second.jobs] == jobs[-4:-7:-1]
    third = page(JobFilter(before=second.older))
    assert ([job.pk for job in third.jobs], third.older) == (jobs[1::-1], None)
    back = page(JobFilter(after=third.newer))
    assert [job.pk for job in back.jobs] == [job.pk for job in second.jobs]


@pytest.mark.parametrize(
    "text", ["{id}", "#{id}", "key:order-7", "order-7", "payload.customer=17", "payload.address.city=Graz", "bot:ada",
             "payload.name='Ann Lee'", "ada", "error:refused", 'error:"connection refused"'],
)  # fmt: skip
def test_a_job_is_found_by(text, ada):
    payload = {"customer": 17, "address": {"city": "Graz"}, "name": "Ann Lee"}
    job = take_one(ada, payload=payload, key="order-7")
    job.fail("ConnectionError: connection refused")
    other = enqueue_one(payload={"customer": 171})
    take = lifecycle.claim(ada, limit=10)
    assert job.id not in [claimed.id for claimed in take]
    found = ids(JobFilter(text=text.format(id=job.id)))
    if text in ("bot:ada", "ada"):
        assert found == [other.pk]
    else:
        assert found == [job.id]


def test_a_number_in_a_payload_is_found_as_number_and_as_text():
    number, text = enqueue_one(payload={"n": 5}), enqueue_one(payload={"n": "5"})
    assert ids(JobFilter(text="payload.n=5")) == [text.pk, number.pk]


def test_a_search_looks_only_so_far_and_offers_to_look_on(monkeypatch):
    monkeypatch.setattr(job_list, "SEARCHED", 4)
    wanted = enqueue_one(payload={"customer": 17})
    for _ in range(5):
        enqueue_one()
    job_filter = JobFilter(text="payload.customer=17")
    first = page(job_filter)
    assert first.jobs == []
    assert first.searched_to is not None
    second = page(JobFilter(text="payload.customer=17", before=first.searched_to))
    assert ([job.pk for job in second.jobs], second.searched_to) == ([wanted.pk], None)


def test_a_kind_within_a_status_is_found_however_far_back_it_is(ada, monkeypatch):
    monkeypatch.setattr(job_list, "SEARCHED", 4)
    old = take_one(ada, kind="divide")
    old.fail(retry=False)
    for _ in range(6):
        take_one(ada).fail(retry=False)
    assert ids(JobFilter(view="failed", kind="divide")) == [old.id]
    assert ids(JobFilter(status="failed", kind="divide")) == [old.id]


def test_the_list_of_a_kind_has_its_jobs_of_every_status_by_their_ids(ada):
    done, held, failed = (take_one(ada, kind="divide") for _ in range(3))
    failed.fail(retry=False)
    done.complete(1)
    waiting = enqueue_one(kind="divide")
    enqueue_one()
    everything = [waiting.pk, failed.id, held.id, done.id]
    assert ids(JobFilter(kind="divide")) == everything
    assert ids(JobFilter(kind="divide", before=held.id)) == [done.id]
    assert ids(JobFilter(kind="divide", after=held.id)) == everything[:2]


def test_jobs_of_a_status_come_by_their_ids_and_not_kind_by_kind():
    jobs = [enqueue_one(kind=kind).pk for kind in ("sum", "divide", "sum", "divide")]
    assert ids(JobFilter(view="pending")) == jobs[::-1]
    assert ids(JobFilter(view="pending", before=jobs[2])) == jobs[1::-1]


def test_a_kind_within_a_status_is_found(ada):
    failed = take_one(ada, kind="divide")
    failed.fail(retry=False)
    take_one(ada).fail(retry=False)
    enqueue_one(kind="divide")
    assert ids(JobFilter(view="failed", kind="divide")) == [failed.id]
    assert dict(job_list.counts(JobFilter(view="failed")).kinds) == {"divide": "1", "sum": "1"}


@pytest.mark.parametrize(
    "text", ["\0", "'", 'error:"', "payload.=1", "payload..a=1", "9" * 40, "%", "\\", "payload.a={"]
)
def test_odd_searches_find_nothing_and_break_nothing(text):
    enqueue_one()
    assert ids(JobFilter.from_params({"q": text, "before": "-1", "view": "nonsense", "status": "x"})) in (
        [],
        ids(JobFilter()),
    )


def test_words_are_taken_apart_as_written():
    terms = parse('17 key:a bot:ada payload.a.b=x error:"no answer"')
    assert (terms.ids, terms.key, terms.bot) == ([17], ["a"], ["ada"])
    assert (terms.payload, terms.error) == ([(("a", "b"), "x")], ["no answer"])


def test_scheduled_jobs_are_listed_soonest_first_whatever_their_priority():
    now = timezone.now()
    new = [NewJob("sum", {}, priority=p, run_at=now + timedelta(minutes=m)) for p, m in ((0, 30), (9, 20), (-4, 10))]
    (a, _), (b, _), (c, _) = insert.enqueue(new)
    assert ids(JobFilter(view="scheduled")) == [c, b, a]
