"""Holds many files to one rule, in one test: it fails with every file that breaks the rule."""

import ast
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
P = TypeVar("P", Path, str)


def name(path: Path | str) -> str:
    """The path from the root of the repository."""
    return str(path if isinstance(path, str) else path.relative_to(ROOT))


@cache
def text(path: Path | str) -> str:
    """What the file holds."""
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def tree(path: Path | str) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(text(path))


def of_each(paths: Iterable[P]) -> Callable[[Callable[[P], None]], Callable[[], None]]:
    """Make a test of a check: it is run for each of the paths, and all that break it are named."""
    given = list(paths)

    def decorate(check: Callable[[P], None]) -> Callable[[], None]:
        def test() -> None:
            broken = []
            for path in given:
                try:
                    check(path)
                except AssertionError as reason:
                    broken.append(f"{name(path)}: {reason}")
            assert given, "there is no file to be held to this rule"
            assert not broken, "\n".join(broken)

        test.__name__, test.__doc__, test.__module__ = check.__name__, check.__doc__, check.__module__
        return test

    return decorate
