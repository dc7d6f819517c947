"""The typed answers of the Python library, made from the OpenAPI document: `python -m tests.contract.surface`."""

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.docs.reading import ROOT

FOLDER = ROOT / "client" / "jobsite_client" / "answers"
#: The answers that a bot works with are dataclasses of the library's own (`messages.py`).
OWN = {"ClaimOut", "ExchangeOut", "BotHeartbeatOut", "RenewedOut", "LeaseOut", "RejectedOut"}
#: What is sent and has a type as well.
SENT = ("JobIn",)
GENERATED = "Made from the OpenAPI document by `python -m tests.contract.surface`: do not change it by hand."
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None", "object": "dict"}
#: Fields that two classes must share, so that one is written as the other and more.
SHARED = 5


class Answers:
    """The schemas of answers, and the module that each is in: that of the first tag that uses it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.schemas: dict[str, Any] = document["components"]["schemas"]
        self.modules: dict[str, str] = {}
        calls = [call for methods in document["paths"].values() for call in methods.values()]
        # Others refer to jobs.
        for call in sorted(calls, key=lambda call: (call["tags"][0] != "Jobs", call["tags"][0])):
            for status, answer in call["responses"].items():
                if status.startswith("2"):
                    self._take(answer["content"]["application/json"]["schema"], call["tags"][0].lower())
        for name in SENT:
            self._take({"$ref": f"#/{name}"}, "jobs")

    def _take(self, schema: Any, module: str) -> None:
        for name in _references(schema):
            if name not in self.modules and name not in OWN:
                # What it refers to comes before it.
                self._take(self.schemas[name], module)
                self.modules[name] = module

    def files(self) -> dict[str, str]:
        """The text of each file, by its name."""
        by_module: dict[str, list[str]] = {}
        for name, module in self.modules.items():
            by_module.setdefault(module, []).append(name)
        files = {f"{module}.py": self._module(module, names) for module, names in by_module.items()}
        return {name: _tidied(text) for name, text in (files | {"__init__.py": _package(by_module)}).items()}

    def _module(self, module: str, names: list[str]) -> str:
        classes = "".join(self._written(name) for name in sorted(self._in_order(names), key=self._is_class))
        typing = [word for word in ("Any", "Literal", "TypedDict") if re.search(rf"\b{word}\b", classes)]
        lines = ["from datetime import datetime"] * bool(re.search(r"\bdatetime\b", classes))
        lines.append(f"from typing import {', '.join(typing)}")
        for other in {*self.modules.values()} - {module}:
            used = [name for name, home in self.modules.items() if home == other and re.search(rf"\b{name}\b", classes)]
            lines += [f"from .{other} import {', '.join(used)}"] * bool(used)
        imports = "\n".join(lines)
        return f'"""The answers about {module}.\n\n{GENERATED}\n"""\n\n{imports}\n\n{classes}'

    def _in_order(self, names: list[str]) -> list[str]:
        """Each after what it refers to, and after the class that it is more than."""
        ordered: dict[str, None] = {}

        def add(name: str) -> None:
            for other in (*_references(self.schemas[name]), self._base(name)[0]):
                if other in names and other not in ordered:
                    add(other)
            ordered[name] = None

        for name in names:
            add(name)
        return list(ordered)

    def _fields(self, name: str) -> dict[str, str]:
        return {field: self._type(one) for field, one in self.schemas[name].get("properties", {}).items()}

    def _is_class(self, name: str) -> bool:
        return "properties" in self.schemas[name]

    def _written(self, name: str) -> str:
        schema = self.schemas[name]
        if "properties" not in schema:
            return f"{name} = {_choice(schema)}\n"
        required = set(schema.get("required", ()))
        fields = self._fields(name)
        base, inherited = self._base(name)
        always = {f: t for f, t in fields.items() if f in required and f not in inherited}
        perhaps = {f: t for f, t in fields.items() if f not in required and f not in inherited}
        about = schema.get("description", "").partition("\n\n")
        doc = " ".join((about[0] + " " + about[2]).split())
        if not perhaps:
            return _class(name, base, always, doc)
        needed = _class(f"_{name}", base, always, "")
        return needed + "\n" + _class(name, f"_{name}, total=False", perhaps, doc)

    def _base(self, name: str) -> tuple[str, set[str]]:
        """The class that has the most of its fields and no other, and these fields."""
        fields, known = self._fields(name).items(), list(self.modules)
        before = set(known[: known.index(name)])
        best: tuple[str, set[str]] = ("TypedDict", set())
        for other in known:
            # One of a module that comes later may import this one.
            if other not in before and self.modules[other] != self.modules[name]:
                continue
            theirs = self._fields(other)
            same = theirs.items() < fields and set(self.schemas[other].get("required", ())) == set(theirs)
            if same and len(theirs) >= max(SHARED, len(best[1]) + 1):
                best = (other, set(theirs))
        return best

    def _type(self, schema: dict[str, Any]) -> str:
        if "$ref" in schema:
            return str(schema["$ref"].rpartition("/")[2])
        if "anyOf" in schema:
            return " | ".join(dict.fromkeys(self._type(one) for one in schema["anyOf"]))
        if "enum" in schema:
            return _choice(schema)
        if "prefixItems" in schema:
            return f"tuple[{', '.join(map(self._type, schema['prefixItems']))}]"
        if schema.get("type") == "array":
            return f"list[{self._type(schema['items'])}]"
        if schema.get("type") == "object":
            return "dict[str, Any]"
        if schema.get("format") == "date-time":
            return "datetime"
        return PLAIN[schema["type"]] if "type" in schema else "Any"


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for part in schema.values():
            yield from _references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _choice(schema: dict[str, Any]) -> str:
    return f"Literal[{', '.join(map(repr, schema['enum']))}]"


def _class(name: str, base: str, fields: dict[str, str], doc: str) -> str:
    lines = [f"class {name}({base}):"]
    if len(doc) > 110:
        lines += [textwrap.indent(f'"""{textwrap.fill(doc, 113)}\n"""', "    "), ""]
    elif doc:
        lines += [f'    """{doc}"""', ""]
    lines += [f"    {field}: {kind}" for field, kind in fields.items()]
    return "\n\n" + "\n".join(lines) + "\n"


def _package(by_module: dict[str, list[str]]) -> str:
    about = "The answers of the API by their names in the OpenAPI document: dicts, with moments as `datetime`."
    imports = "\n".join(f"from .{module} import {', '.join(names)}" for module, names in by_module.items())
    exported = ", ".join(repr(name) for names in by_module.values() for name in names)
    return f'"""{about}\n\n{GENERATED}\n"""\n\n{imports}\n\n__all__ = [{exported}]\n'


def _tidied(text: str) -> str:
    """The text as ruff writes it."""
    ruff, about = str(Path(sys.executable).with_name("ruff")), ["--stdin-filename", str(FOLDER / "made.py"), "-"]
    for command in (["check", "--quiet", "--fix", "--exit-zero", "--select", "I,RUF022"], ["format", "--quiet"]):
        done = subprocess.run([ruff, *command, *about], input=text, capture_output=True, text=True, check=True)
        text = done.stdout
    return text


def write(document: dict[str, Any]) -> None:
    """Write all files, and remove those of tags that are no more."""
    files = Answers(document).files()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.py"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
