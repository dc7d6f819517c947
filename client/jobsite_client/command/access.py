"""Where the server is, and the token to call it with: from the environment or a file that nobody else may read."""

import os
import stat
from pathlib import Path

URL, TOKEN, TOKEN_FILE = "JOBSITE_URL", "JOBSITE_TOKEN", "JOBSITE_TOKEN_FILE"
HERE = "http://127.0.0.1:8000"


class Usage(Exception):
    """The command was used wrongly: what to do is its text."""


def address() -> str:
    """The server's address."""
    return os.environ.get(URL) or HERE


def token() -> str:
    """The token or API key. A command's arguments are visible to every user of the machine, so it is never one."""
    if value := os.environ.get(TOKEN):
        return value
    named = os.environ.get(TOKEN_FILE)
    path = Path(named) if named else default_file()
    if not named and not path.exists():
        raise Usage(f"Set {TOKEN}, or write the API key to {path} and make that readable for you alone.")
    return read(path)


def default_file() -> Path:
    """The file for the token of this user."""
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "jobsite" / "token"


def read(path: Path) -> str:
    """The token in this file. Raises Usage if other users may read or change it."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise Usage(f"Other users may use {path} (mode {mode:04o}). Run: chmod 600 {path}")
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"The token cannot be read from {path}: {error}") from None
