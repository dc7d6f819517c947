"""A word finds what holds it: a key, a payload, an error, the name of a kind or bot; and what is not understood says
how to write it.
"""

import pytest
from django.db.models.functions import Length

from jobs.lists import job_list
from jobs.lists.job_list import JobFilter, page
from jobs.lists.search import FIELDS, parse
from jobs.models import Job
from tests.cast import bot_named, enqueue_one, take_one

pytestmark = pytest.mark.django_db


def ids(text, **fields):
    return [job.pk for job in page(JobFilter(text=text, **fields)).jobs]


def test_a_word_is_found_in_payloads_keys_and_errors(ada):
    carried = enqueue_one(payload={"of": {"customer": "CUST-17"}})
    keyed = enqueue_one(key="order-cust-17-b")
    failed = take_one(ada)
    failed.fail("no address of cust-17", retry=False)
    enqueue_one(payload={"customer": "cust-18"})
    assert ids("cust-17") == [failed.id, keyed.pk, carried.pk]
    assert ids("cust-17", view="failed") == [failed.id]
    assert ids("cust-17 address") == [failed.id]
    assert ids("cust-17 nothing") == []


def test_a_url_and_words_that_stand_together_are_found():
    job = enqueue_one(payload={"url": "https://example.org/a?b=1", "text": 'she said "no" to Zoë'})
    for text in ("https://example.org/a?b=1", "example.org", '"no answer" x', "'to Zoë'", "'\"no\"'"):
        assert ids(text) == ([] if "answer" in text else [job.pk])


def test_the_name_of_a_kind_or_bot_finds_its_jobs_however_far_back_they_are(ada, monkeypatch):
    monkeypatch.setattr(job_list, "SEARCHED", 2)
    mail, held = enqueue_one("mail.send"), take_one(bot_named("print-01"))
    for _ in range(4):
        enqueue_one()
    assert ids("mail.send") == [mail.pk]
    assert ids("print-01") == [held.id]
    first = page(JobFilter(text="mail.send"))
    assert (first.searched, first.searched_to is not None) == (2, True)
    # It is shown once, and not again by who searches further back.
    assert [job.pk for job in page(JobFilter(text="mail.send", before=held.id)).jobs] == [mail.pk]


def test_who_sees_no_payloads_finds_words_in_keys_alone(ada):
    keyed = enqueue_one(key="cust-17")
    enqueue_one(payload={"customer": "cust-17"})
    take_one(ada).fail("no cust-17", retry=False)
    assert ids("cust-17", sees_payloads=False) == [keyed.pk]


def test_a_search_reads_so_many_bytes_and_offers_to_go_on(monkeypatch):
    monkeypatch.setattr(job_list, "SEARCHED_BYTES", 3000)
    wanted = enqueue_one(payload={"customer": "cust-17"})
    for n in range(5):
        enqueue_one(payload={"text": "".join(chr(33 + (n * 7 + i * i) % 90) for i in range(1000))})
    first = page(JobFilter(text="cust-17"))
    assert (first.jobs, first.searched) == ([], 2)
    found, before = [], first.searched_to
    while before is not None:
        following = page(JobFilter(text="cust-17", before=before))
        found += [job.pk for job in following.jobs]
        before = following.searched_to
    assert found == [wanted.pk]


def test_one_job_is_searched_whatever_its_size(monkeypatch):
    monkeypatch.setattr(job_list, "SEARCHED_BYTES", 10)
    job = enqueue_one(payload={"text": "x" * 5000 + " cust-17"})
    assert ids("cust-17") == [job.pk]


def test_fields_are_asked_for_by_their_names(ada):
    mail = enqueue_one("mail", payload={"n": 1})
    failed = take_one(ada, kind="mail")
    failed.fail("it broke", retry=False)
    enqueue_one("sum")
    assert ids("kind:mail") == [failed.id, mail.pk]
    assert ids("kind:mail status:failed") == [failed.id]
    assert ids("kind:mail kind:sum", kind="sum") == [Job.objects.get(kind="sum").pk]
    assert ids("kind:mail", kind="sum") == []
    assert ids("status:pending", view="failed") == []
    assert ids("error_group:999") == []


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ('error:"no answer', 'A quote has no end: write "no answer"'),
        ("payload.customer", "Write payload.customer=17"),
        ("payload.=1", "Write payload.customer=17"),
        ("kinds:mail", "There is no field “kinds”: write kind:mail.send"),
        ("statut:failed", "write status:failed"),
        ("status:broken", "There is no status “broken”: write status: and one of pending"),
        ("bot:", "“bot:” has nothing after it: write bot:ada"),
        ("error_group:x", "An error group has a number"),
    ],
)
def test_what_is_not_understood_says_how_to_write_it(text, note):
    (shown,) = parse(text).notes
    assert note in shown
    ids(text)


def test_a_word_with_a_colon_and_each_example_are_understood():
    for text in ("https://kind.example/x", "10:30", "a:b", *(example for example, _ in FIELDS.values())):
        assert parse(text).notes == []


def test_all_that_match_are_those_that_the_search_finds(ada):
    leases = [take_one(ada, payload={"customer": f"cust-{n}"}) for n in (17, 17, 18)]
    for lease in leases:
        lease.fail("it broke", retry=False)
    asked = JobFilter(view="failed", text="cust-17")
    assert set(asked.jobs().values_list("pk", flat=True)) == {leases[0].id, leases[1].id}
    assert job_list.matching(asked, ["failed"]).n == 2
    assert Job.objects.annotate(n=Length("error")).filter(n__gt=0).count() == 3
