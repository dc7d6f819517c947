"""Read a crontab: what each line is as a schedule, and what is wrong with those that cannot be one.

A line becomes a schedule of a kind that has the name of its program. The command is in the payload; a bot runs it.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

#: Lines that begin with these are five fields in one word.
SPECIAL = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
#: A comment above a line that names its schedule.
_TITLE = re.compile(r"#\s*jobsite:\s*(\S+)\s*\Z")
_VARIABLE = re.compile(r"([A-Za-z_]\w*)\s*=\s*(.*)\Z")
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=")
#: Variables that are cron's own: where to send output, and the time zone of the lines below.
_ZONE, _CRONS_OWN = "CRON_TZ", {"CRON_TZ", "MAILTO", "MAILFROM", "CRON_WITHIN"}


@dataclass(frozen=True)
class Line:
    """A line of a crontab: its number from 1, and the schedule as `NamedScheduleIn` takes it, or the fault."""

    number: int
    schedule: dict[str, Any] | None
    fault: str = ""


def read_crontab(text: str, *, time_zone: str = "UTC", user_field: bool = False, kind: str = "") -> Iterator[Line]:
    """Read the lines that have a command. `user_field`: as in /etc/crontab. `kind`: one for all."""
    names: Counter[str] = Counter()
    environment: dict[str, str] = {}
    given = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line.startswith("#"):
            match = _TITLE.match(line)
            given = match[1] if match else given
        elif match := _VARIABLE.match(line):
            name, value = match[1], _unquoted(match[2])
            if name == _ZONE:
                time_zone = value
            elif name not in _CRONS_OWN:
                environment[name] = value
        elif line:
            cron, user, command = _fields(line, user_field)
            fault = _fault(cron, command)
            if fault:
                yield Line(number, None, fault)
                continue
            payload = _payload(command, environment, user)
            program = _program(payload["command"])
            names[given or program] += 1
            n = names[given or program]
            schedule = {"name": (given or program) + (f"-{n}" if n > 1 else ""), "kind": kind or program}
            yield Line(number, schedule | {"cron": cron, "time_zone": time_zone, "payload": payload})
            given = ""


def _fields(line: str, user_field: bool) -> tuple[str, str, str]:
    """The line's rule, user and command. What is missing is empty."""
    n = 1 if line.startswith("@") else 5
    words = line.split(None, n + user_field)
    rule, rest = words[:n], words[n:]
    cron = " ".join(rule)
    user = rest.pop(0) if user_field and rest else ""
    return SPECIAL.get(cron.lower(), cron), user, rest[0] if rest else ""


def _fault(cron: str, command: str) -> str:
    if cron.lower() == "@reboot":
        return "@reboot is no moment. Let the machine start this, by a unit of systemd for example."
    if cron.startswith("@"):
        return f"{cron} is not known. There are: {', '.join(SPECIAL)}."
    return "" if command else "there is no command after the fields."


def _payload(command: str, environment: dict[str, str], user: str) -> dict[str, Any]:
    # The first `%` ends the command, the others are line ends of its input; `\%` is a per cent sign.
    first, *more = [part.replace(r"\%", "%") for part in re.split(r"(?<!\\)%", command)]
    payload: dict[str, Any] = {"command": first.strip()}
    if more:
        payload["input"] = "\n".join(more)
    if environment:
        payload["environment"] = dict(environment)
    if user:
        payload["user"] = user
    return payload


def _program(command: str) -> str:
    """The name of what a command runs: `backup` of `/usr/local/bin/backup.sh --full`. Empty if there is none."""
    words = [word for word in command.split() if not _ASSIGNED.match(word)]
    path = PurePosixPath(words[0] if words else "")
    return re.sub(r"[^\w.-]", "", path.stem)


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value
