"""The demo's work on real files: checksums and word counts, of files below one directory and nowhere else."""

import hashlib
import re
from collections import Counter
from pathlib import Path
from typing import Any

from jobsite_client import GiveUp


def checksum(root: Path, payload: object) -> dict[str, Any]:
    """`{sha256, bytes}` of the payload's file."""
    data = _read(root, payload)
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def wordcount(root: Path, payload: object) -> dict[str, Any]:
    """`{lines, words, bytes, top}` of the payload's file; `top` has its ten commonest words with their counts."""
    data = _read(root, payload)
    text = data.decode(errors="replace")
    common = Counter(re.findall(r"[^\W\d_]+", text.lower())).most_common(10)
    return {
        "lines": data.count(b"\n"),
        "words": len(text.split()),
        "bytes": len(data),
        "top": [{"word": word, "count": count} for word, count in common],
    }


KINDS = {"checksum": checksum, "wordcount": wordcount}


def _read(root: Path, payload: object) -> bytes:
    name = payload.get("path") if isinstance(payload, dict) else None
    if not isinstance(name, str) or not name:
        raise GiveUp('The payload must look like {"path": "docs/lifecycle.md"}.')
    root = root.resolve()
    try:
        path = (root / name).resolve()  # Follows links too, so that none leads out of the root.
        if not path.is_relative_to(root):
            raise GiveUp(f"{name!r} is outside of the directory this bot may read.")
        return path.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:
        raise GiveUp(f"{name!r} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
