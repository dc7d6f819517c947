"""The pages of `docs/reference/`, made from the code: `make docs` writes them, and a test compares them with it."""

import argparse
import inspect
import os
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from tests.docs.reading import ROOT, table, text_of, word

FOLDER = ROOT / "docs" / "reference"
OURS = ("jobsite", "alerts", "jobs", "bots")
GENERATED = "<!-- Made from the code by `make docs`. Change the code, not this page. -->"
#: Settings that depend on others: what their default is.
DEPENDS = {"SECRET_KEY": "required", "DATABASE_URL": "required", "HTTPS": "`1`"}


def _page(title: str, about: str, *parts: str) -> str:
    about = textwrap.fill(" ".join(about.split()), 120, break_long_words=False, break_on_hyphens=False)
    return "\n\n".join([f"# {title}", GENERATED, about, *parts]) + "\n"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in [header, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


def _cell(text: str) -> str:
    """Text for a cell of a table, on one line."""
    return " ".join(text.split()).replace("|", r"\|")


# --- Settings ---------------------------------------------------------------------------------------------------------


def settings() -> str:
    """Every setting, by the chapters of the settings module. What each means is written in one place, operations."""
    rows = {word(row["variable"]): row for row in table("docs/operations.md", "variable", "default", "means")}
    chapters: dict[str, list[tuple[str, ...]]] = {}
    chapter = "Start"
    for line in text_of("jobsite/settings.py").splitlines():
        if heading := re.match(r"# --- ([^-]+?) -+$", line):
            chapter = heading[1]
        for kind, name in re.findall(r'env\.(\w+)\("(\w+)"', line):
            means = re.sub(r"\]\(#", "](../operations.md#", rows[name]["means"])
            means = re.sub(r"\]\((?!\.\.|http)", "](../", means)
            shown = (f"`{name}`", kind, DEPENDS.get(name, rows[name]["default"]), means)
            if shown not in chapters.setdefault(chapter, []):
                chapters[chapter].append(shown)
    return _page(
        "Settings",
        """Every setting of the environment, or of the file `.env`, by what it is about.
        [Operations](../operations.md#settings) has what belongs to them.""",
        *(f"## {name}\n\n{_table(('variable', 'type', 'default', 'means'), rows)}" for name, rows in chapters.items()),
    )


# --- Commands ---------------------------------------------------------------------------------------------------------


def commands() -> str:
    """Our commands: their help texts and arguments, and the targets of the Makefile."""
    from django.core.management import get_commands, load_command_class

    shared = {"help", "version", "verbosity", "settings", "pythonpath", "traceback", "no_color", "force_color"}
    parts = []
    for name, app in sorted(get_commands().items()):
        if app not in OURS:
            continue
        parser = load_command_class(app, name).create_parser("manage.py", name)
        rows = [_argument(action) for action in parser._actions if action.dest not in shared | {"skip_checks"}]
        about = _prose(parser.description or "")
        parts.append(f"## `{name}`\n\n{about}" + (f"\n\n{_table(('argument', 'means'), rows)}" if rows else ""))
    targets = re.findall(r"^([a-z-]+):.*## (.*)$", text_of("Makefile"), flags=re.M)
    made = _table(("target", "does"), [(f"`make {name}`", _cell(does)) for name, does in targets])
    return _page(
        "Commands",
        """The commands of `manage.py`; `jobsite` is the same where Jobsite was installed as a wheel. Each has `--help`,
        exits with 0 when it did its work, and with 1 and the reason on standard error when it could not. The targets of
        `make` are at the end.""",
        *parts,
        f"## `make`\n\n{made}",
    )


def _prose(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False)


def _argument(action: argparse.Action) -> tuple[str, str]:
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    value = " ".join(value) if isinstance(value, tuple) else value
    names = ", ".join(action.option_strings)
    shown = f"`{names} {value}`" if names and value else f"`{names or value or action.dest}`"
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    if action.choices:
        text = f"{text} One of: {', '.join(f'`{choice}`' for choice in action.choices)}.".strip()
    return shown.replace("|", r"\|"), _cell(text)


# --- The API and the client -------------------------------------------------------------------------------------------


def calls() -> str:
    """Every call, from the OpenAPI document."""
    from jobsite.urls import api

    rows = []
    for path, methods in api.get_openapi_schema()["paths"].items():
        for method, operation in methods.items():
            anchor = re.sub(r"[^\w -]", "", f"{method} {path}".lower()).replace(" ", "-")
            query = [p["name"] for p in operation.get("parameters", []) if p["in"] == "query"]
            what = operation.get("description") or operation.get("summary") or ""
            call = f"[`{method.upper()} {path.removeprefix('/api/v1')}`](../bot-api.md#{anchor})"
            rows.append((path, method, (call, ", ".join(f"`{name}`" for name in query), _cell(what.split("\n\n")[0]))))
    return _page(
        "Calls",
        """Every call under `/api/v1`, with the parameters of its query. Each links to its chapter in the
        [HTTP API](../bot-api.md). The same as OpenAPI is at `/api/v1/openapi.json` of a server.""",
        _table(("call", "query", "does"), [row for _, _, row in sorted(rows)]),
    )


def client() -> str:
    """What the Python library exports: its signatures and the first paragraphs of its docstrings."""
    import jobsite_client

    parts = []
    for name in jobsite_client.__all__:
        thing = getattr(jobsite_client, name)
        if inspect.isfunction(thing):
            parts.append(f"## `{name}{_signature(thing)}`\n\n{_prose(_first(thing))}")
        if not inspect.isclass(thing):
            continue
        members = "" if thing is jobsite_client.AsyncClient else _members(thing)
        parts.append(f"## `{name}`\n\n{_prose(_first(thing))}" + members)
    return _page(
        "Python library: classes, methods and functions",
        """What `jobsite_client` exports. [Python library](../../client/README.md) shows how to use it.""",
        *parts,
    )


def _first(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").split("\n\n")[0]


def _signature(call: Callable[..., Any]) -> str:
    shown = [p.replace(annotation=p.empty) for p in inspect.signature(call).parameters.values() if p.name != "self"]
    return str(inspect.Signature(shown))


def _members(thing: type) -> str:
    rows = []
    if not issubclass(thing, Exception) and inspect.isfunction(vars(thing).get("__init__")):
        rows.append((f"`{thing.__name__}{_signature(vars(thing)['__init__'])}`", "The constructor."))
    for name, member in _public(thing):
        # What describes the call, of a method that is one.
        member = inspect.unwrap(member) if callable(getattr(member, "__get__", None)) else member
        if isinstance(member, property):
            rows.append((f"`{name}`", _cell(_first(member))))
        elif inspect.isfunction(member):
            rows.append((f"`{name}{_signature(member)}`".replace("|", r"\|"), _cell(_first(member))))
    return f"\n\n{_table(('member', 'does'), rows)}" if rows else ""


def _public(thing: type) -> Iterator[tuple[str, Any]]:
    for base in thing.__mro__:
        if base.__module__.startswith("jobsite_client"):
            yield from ((name, member) for name, member in vars(base).items() if not name.startswith("_"))


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings, "commands.md": commands, "calls.md": calls, "client.md": client,
}  # fmt: skip


def main() -> None:
    """Write every page."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
