"""The ceiling finds the reports in what the server sends, and the jobs in what comes back, whatever their form."""

import json

import psycopg

from bench import ceiling

LEASES = [(7, 1), (8, 2)]


def sent(*params):
    return ceiling.Sent(psycopg.RawCursor, "SELECT …", params)


def test_reports_are_found_among_the_parameters_in_any_spelling():
    spelt_otherwise = json.dumps([{"attempt": attempt, "id": job, "result": None} for job, attempt in LEASES])
    assert sent(None, b"digest", spelt_otherwise, "{}").place_of(LEASES) == (2, ceiling.HERE)
    assert sent(ceiling.written(LEASES)).place_of(LEASES) == (0, ceiling.HERE)


def test_reports_are_found_inside_a_parameter_too():
    turns = json.dumps([{"digest": "ab", "done": json.loads(ceiling.written(LEASES)), "asks": True}])
    around = f'[{{"digest":"ab","done":{ceiling.HERE},"asks":true}}]'
    assert sent([], turns).place_of(LEASES) == (1, around)


def test_reports_of_other_leases_are_not_taken_for_these():
    assert sent(ceiling.written([(7, 1)])).place_of(LEASES) is None
    assert sent("text", 5).place_of(LEASES) is None


def test_jobs_are_found_in_text_and_in_values():
    jobs = [{"id": job, "kind": "noop", "attempt": attempt, "payload": {}} for job, attempt in LEASES]
    assert ceiling.leases_in([(True, json.dumps(jobs), 2)]) == LEASES
    assert ceiling.leases_in([(True, jobs, 2)]) == LEASES
    assert ceiling.leases_in([(True, "[]", 0)]) == []
