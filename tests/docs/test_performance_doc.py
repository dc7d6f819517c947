"""`docs/performance.md` opens with a figure, tells old measurements from new ones, and its sizing adds up."""

import re

from tests.docs.reading import table, text_of

DOC = "docs/performance.md"
OLDER = "*Older than the event loop: see [what these figures are](#what-these-figures-are).*"
BLOCK = re.compile(r"(?:^(\*Older[^\n]*)\n\n)?<!-- bench: \w+ -->\n(.*?)<!-- end -->", flags=re.S | re.M)
KILOBYTES_A_JOB = 1.1


def number(text: str) -> float:
    return float(re.sub(r"[^\d.]", "", text))


def test_it_opens_with_one_sentence_in_figures() -> None:
    first = text_of(DOC).split("\n\n")[1]
    assert re.match(r"\*\*On two cores .*\d.* jobs a second", first.replace("\n", " "))


def test_tables_from_before_the_event_loop_are_called_so() -> None:
    shown = [(before, text) for before, text in BLOCK.findall(text_of(DOC)) if text.strip()]
    assert len(shown) >= 8
    for before, text in shown:
        assert (before == OLDER) == ("--interface wsgi" in text), text[:200]


def test_rows_and_disk_of_the_sizing_follow_from_its_rates() -> None:
    seconds = {"30 days": 30 * 86400, "1 day": 86400, "1 hour": 3600}
    for row in table(DOC, "jobs a second", "cores for web and database"):
        rate = number(row["jobs a second"].split(",")[0])
        rows, disk, kept = row["rows and disk, with `keep_for`"].split(", ")
        jobs = rate * seconds[kept]
        assert abs(number(rows) * 1e6 - jobs) < 0.05 * jobs, row
        assert abs(number(disk) * 1e6 - jobs * KILOBYTES_A_JOB) < 0.05 * jobs * KILOBYTES_A_JOB, row
        written = number(row["WAL a second"]) * (1000 if "MB" in row["WAL a second"] else 1)
        assert abs(written - 1.7 * rate) < 0.05 * written, row
        assert number(row["connections"]) == number(row["web processes"]) * 18 + 2, row
    assert f"{KILOBYTES_A_JOB} kB a finished job" in text_of(DOC)
