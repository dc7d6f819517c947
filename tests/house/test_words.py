"""Names and comments use the field's own words: none of a short list that hid what things are."""

import ast
import io
import re
import tokenize
from pathlib import Path

from tests.house.each import ROOT, name, of_each, text, tree

#: The product code that is held to the list: packages and folders of packages.
PACKAGES = ("jobsite", "alerts", "bots", "jobs", "bench", "client/jobsite_client")
#: Names of functions, classes, arguments and module constants that say nothing of what they are.
NAMES = {
    "look", "of", "keep", "mark", "tell", "told", "said", "many", "more", "one_more", "found", "here", "whole",
    "beat", "heard", "apart", "beside", "Apart", "Beside", "Pass", "Roll", "Seen", "Found", "Question", "Verdict",
    "Standing", "Looked", "Again", "Counts", "Answer", "NAMED", "TOLD", "PATIENCE", "STEPS", "PAST", "LOCK", "SURE",
    "STILL", "LATELY", "HEARD", "WORDS", "AT_ONCE",
}  # fmt: skip
#: Words of docstrings and comments for which there is a plainer one.
WORDS = (
    "said", "told", "whoever", "hereby", "anew", "afresh", "meanwhile", "nought", "unwell", "mended", "dead man",
    "far side", "sign of life", "the other end", "in the house", "given back", "taken back", "gives back", "takes back",
    "former self", "again and again",
)  # fmt: skip
#: What may stay: Django and the database name these, or another change is about them.
EXCEPT: dict[str, set[str]] = {}
FILES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts
)
BANNED = re.compile(rf"\b({'|'.join(map(re.escape, WORDS))})\b", re.IGNORECASE)


def names_in(module: ast.Module) -> set[str]:
    """Functions, classes, arguments and constants of the module."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
    for node in module.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            found |= {part.id for part in ast.walk(target) if isinstance(part, ast.Name)}
    return found


def prose_in(source: str) -> list[str]:
    """Docstrings and comments, as lines."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            lines += (ast.get_docstring(node) or "").splitlines()
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return lines + [token.string for token in tokens if token.type == tokenize.COMMENT]


@of_each(FILES)
def test_names_say_what_things_are(path: Path) -> None:
    found = {one.strip("_") for one in names_in(tree(path))}
    assert found & NAMES <= EXCEPT.get(name(path), set())


@of_each(FILES)
def test_docstrings_and_comments_use_the_fields_words(path: Path) -> None:
    """Words in backticks are names, and not held to the list."""
    prose = [re.sub(r"`[^`]*`", "", line) for line in prose_in(text(path))]
    assert not [line for line in prose if BANNED.search(line)]
