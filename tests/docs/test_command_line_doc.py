"""The page about the command line names each verb and exit code."""

import re
import shlex

from jobsite_client.command import access, verbs
from jobsite_client.command.bot import read_options
from jobsite_client.command.parser import parser
from tests.docs.reading import table, text_of, word

PAGE = "docs/command-line.md"


def lines_with(command: str) -> list[list[str]]:
    found = re.findall(rf"^{command} ([^#>\n]*)", text_of(PAGE), flags=re.M)
    return [shlex.split(line) for line in found]


def test_each_line_is_understood_and_each_verb_is_shown() -> None:
    shown = {parser().parse_args(arguments).verb for arguments in lines_with("jobsitectl") if "|" not in arguments}
    (verbs_there,) = (action.choices for action in parser()._actions if action.dest == "verb")
    assert shown == set(verbs_there or ())
    assert [read_options(arguments).target for arguments in lines_with("jobsite-bot")] == ["tasks:bot"] * 4


def test_each_exit_code_is_listed() -> None:
    codes = {int(row["exit code"]) for row in table(PAGE, "exit code", "means")}
    assert codes == {verbs.DONE, verbs.REFUSED, verbs.WRONG_USE, verbs.UNREACHABLE, verbs.NOT_YET}


def test_each_variable_is_listed_with_its_default() -> None:
    rows = {word(row["variable"]): row["default"].strip("`") for row in table(PAGE, "variable", "default", "means")}
    assert rows.keys() == {access.URL, access.TOKEN, access.TOKEN_FILE}
    assert rows[access.URL] == access.HERE
