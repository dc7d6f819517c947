"""`docs/permissions.md` lists every permission of every role, the scopes of keys, and what payloads are."""

from bots.acts import SCOPES
from jobs import payloads
from jobsite.roles import ROLES
from tests.docs.reading import table, text_of, word, words

DOC = "docs/permissions.md"


def test_the_table_of_roles_is_the_codes() -> None:
    rows = table(DOC, "permission", "viewer")
    for role, permissions in ROLES.items():
        assert [word(row["permission"]) for row in rows if row[role] == "yes"] == list(permissions), role
    assert all(row[role] in ("yes", "") for row in rows for role in ROLES)


def test_the_scopes_of_keys_are_the_codes() -> None:
    sentence = next(line for line in text_of(DOC).split("\n\n") if line.startswith("The verbs are"))
    assert words(sentence.split("Without")[0].replace("\n", " ")) == list(map(str, SCOPES))


def test_what_is_hidden_is_the_codes() -> None:
    assert f"`{payloads.PERMISSION}` is for all that jobs carry" in text_of(DOC)
    assert payloads.FIELDS == ("payload", "result", "error")
    assert "payloads, results and errors" in text_of(DOC)
