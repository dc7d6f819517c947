"""A file of jobs is looked at before it is loaded; what a list shows goes out as a file."""

import csv
import io
import json
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from jobs.models import Job
from tests.cast import enqueue_one, take_one

UPLOAD = reverse("admin:jobs_job_upload")
EXPORT = reverse("admin:jobs_job_export")
GOOD = '{"kind": "sum", "payload": {"n": 1}, "key": "a"}\n{"kind": "divide", "payload": "ü"}\n'


@pytest.fixture
def asking(client, olga):
    client.force_login(olga)
    return client


def look(client, text, name="jobs.ndjson"):
    data = text if isinstance(text, bytes) else text.encode()
    return client.post(UPLOAD, {"file": SimpleUploadedFile(name, data)}).content.decode()


def content(page):
    """What the page holds of the file until it is loaded."""
    return re.search(r'name="content" value="([^"]+)"', page)[1]


def load(client, page, format, button="load"):
    sent = {"content": content(page), "format": format, button: "Load"}
    return client.post(UPLOAD, sent, follow=True).content.decode()


def test_a_good_file_is_looked_at_and_then_loaded(asking):
    said = look(asking, GOOD)
    assert "2 good jobs, 0 bad lines" in said
    assert not Job.objects.exists()
    done = load(asking, said, "ndjson")
    assert "Enqueued 2 jobs." in done
    assert set(Job.objects.values_list("kind", flat=True)) == {"sum", "divide"}


def test_bad_lines_are_named_and_only_the_good_are_loaded_when_asked(asking):
    bad = GOOD + '{"kind": "sum", "priority": "high"}\nnot json\n'
    said = look(asking, bad)
    assert "2 good jobs, 2 bad lines" in said
    assert "Line 3: priority:" in said
    assert "Line 4: This is not JSON" in said
    load(asking, said, "ndjson")
    assert not Job.objects.exists()
    done = load(asking, said, "ndjson", "load_good")
    assert "Enqueued 2 jobs. Skipped 2 bad lines." in done


def test_csv_is_read_and_a_key_that_is_there_is_not_loaded_twice(asking):
    enqueue_one(key="a")
    text = 'kind,payload,key\nsum,"{""n"": 1}",a\nsum,"{""n"": 2}",b\n'
    said = look(asking, text, "jobs.csv")
    assert "2 good jobs" in said
    done = load(asking, said, "csv")
    assert "Enqueued 1 job. 1 was enqueued before." in done


@pytest.mark.parametrize(
    ("data", "name", "fault"),
    [
        (b"\xff\xfe\0", "a.ndjson", "begins as UTF-16 and is broken"),
        (b"\xfc", "a.ndjson", "This is not UTF-8: byte 1"),
        (b"name,colour\n", "a.csv", "unknown column"),
        (b"x" * 3_000_000, "a.ndjson", "larger than 2048 KB"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_why(asking, data, name, fault):
    assert fault in look(asking, data, name)
    assert not Job.objects.exists()


def test_what_was_checked_is_loaded_to_the_byte(asking):
    """Browsers send CR and LF for each end of a line in a text."""
    page = look(asking, b'kind,key\r\nsum,"a\nb"\r\nsum,"c\r\nd"\r\n', "jobs.csv")
    load(asking, page, "csv")
    assert set(Job.objects.values_list("key", flat=True)) == {"a\nb", "c\r\nd"}


@pytest.mark.parametrize("sent", ["", "x", "eJw=", "eJzT0yMNAAAbZgSp"])
def test_a_file_that_did_not_come_back_whole_is_not_loaded(asking, sent):
    page = asking.post(UPLOAD, {"content": sent, "format": "ndjson", "load": "Load"}).content.decode()
    assert "did not come back whole" in page
    assert not Job.objects.exists()


def test_a_file_that_grows_when_it_is_unpacked_is_refused(asking, settings):
    page = look(asking, GOOD)
    settings.MAX_BODY_BYTES = len(GOOD.encode()) - 1
    sent = {"content": content(page), "format": "ndjson", "load": "Load"}
    assert "did not come back whole" in asking.post(UPLOAD, sent).content.decode()
    assert not Job.objects.exists()


def test_of_a_broken_array_nothing_is_offered(asking):
    page = look(asking, '[\n{"kind": "sum", "key": "1"},\n{"kind": "sum", "key": "2"}\n', "jobs.json")
    assert "Nothing can be loaded: it begins as a JSON array" in page
    assert 'name="load' not in page


def test_no_file_is_an_error(asking):
    assert "Choose a file first." in asking.post(UPLOAD).content.decode()


def test_who_may_not_add_jobs_uploads_none(client, vera):
    client.force_login(vera)
    assert client.get(UPLOAD).status_code == 403
    assert client.post(UPLOAD, {"content": "", "format": "ndjson", "load": "Load"}).status_code == 403
    assert not Job.objects.exists()


def test_an_export_has_what_the_filter_shows(asking, ada, monkeypatch):
    monkeypatch.setattr("jobs.admin.upload.BATCH_SIZE", 2)
    failed = [take_one(ada, payload={"n": n}) for n in range(5)]
    for lease in failed:
        lease.fail("it broke", retry=False)
    enqueue_one()
    response = asking.get(EXPORT + "?view=failed&format=ndjson")
    rows = [json.loads(line) for line in b"".join(response.streaming_content).decode().splitlines()]
    assert [row["id"] for row in rows] == [lease.id for lease in reversed(failed)]
    assert {row["error"] for row in rows} == {"it broke"}
    assert rows[0]["payload"] == {"n": 4}
    assert 'filename="jobs-' in response["Content-Disposition"]


def test_an_export_as_csv_can_be_read_and_runs_no_formula(asking):
    enqueue_one(key="=1+1", payload={"a": "b,c\n"})
    text = b"".join(asking.get(EXPORT + "?format=csv").streaming_content).decode()
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["key"] == "'=1+1"
    assert json.loads(row["payload"]) == {"a": "b,c\n"}


def test_who_sees_no_jobs_exports_none(client, nora):
    client.force_login(nora)
    assert client.get(EXPORT).status_code == 403
