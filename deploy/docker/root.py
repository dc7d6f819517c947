"""Copy what the programs need of the system that builds the image: `python root.py TARGET`.

That is Python with its standard library, the shared libraries that are linked, the certificates, and the project with
its environment. So the image that runs has no shell, no package manager and no other program.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

PROJECT = Path("/srv/jobsite")
#: Parts of the standard library that no server needs, and where the system has other packages.
LEFT_OUT = {
    "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter", "turtle.py", "turtledemo", "site-packages",
    "dist-packages",
}  # fmt: skip
FILES = ("/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/ssl/openssl.cnf", "/etc/ssl/certs/ca-certificates.crt")
#: What has moved into /usr in Debian, and is a link to it.
MOVED = ("bin", "lib", "lib64", "sbin")
USER = 10001


def copy(path: Path, root: Path) -> None:
    """Copy a file, and what it is a link to."""
    target = root / os.path.realpath(path.parent).lstrip("/") / path.name
    if not target.is_symlink() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)
    if path.is_symlink():
        copy(path.parent / path.readlink(), root)


def copy_tree(folder: Path, root: Path, left_out: set[str]) -> None:
    """Copy a folder without what has one of these names."""

    def ignored(_: str, names: list[str]) -> set[str]:
        # What is only for building extensions.
        return {name for name in names if name in left_out or name.startswith("config-")}

    shutil.copytree(folder, root / str(folder).lstrip("/"), symlinks=True, ignore=ignored)


def libraries(*folders: Path) -> set[Path]:
    """The shared libraries that Python and the modules in these folders need, and the loader of them."""
    modules = [str(path) for folder in folders for path in folder.rglob("*.so*") if path.is_file()]
    done = subprocess.run(["ldd", os.path.realpath(sys.executable), *modules], capture_output=True, text=True)
    words = [word for line in done.stdout.splitlines() if line.startswith("\t") for word in line.split()]
    return {Path(word) for word in words if word.startswith("/")}


def keep_hashed(static: Path) -> None:
    """Delete the static files without a hash in their names: no page names them."""
    names = json.loads((static / "staticfiles.json").read_text())["paths"]
    for name, hashed in names.items():
        for path in (static / name, static / f"{name}.gz"):
            if name != hashed:
                path.unlink(missing_ok=True)


def main(root: Path) -> None:
    """Make the tree."""
    for name in MOVED:
        if Path("/", name).is_symlink():
            (root / "usr" / name).mkdir(parents=True)
            (root / name).symlink_to(f"usr/{name}")
    library = Path(sysconfig.get_path("stdlib"))
    copy_tree(library, root, LEFT_OUT)
    copy_tree(PROJECT, root, set())
    keep_hashed(root / str(PROJECT).lstrip("/") / ".static")
    copy(PROJECT / ".venv/bin/python", root)
    for path in [*libraries(library, PROJECT), *map(Path, FILES)]:
        if path.exists() and PROJECT not in path.parents:
            copy(path, root)
    (root / "etc/passwd").write_text(f"root:x:0:0::/:\njobsite:x:{USER}:{USER}::/:\n")
    (root / "etc/group").write_text(f"root:x:0:\njobsite:x:{USER}:\n")
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "run/jobsite").mkdir(parents=True)
    os.chown(root / "run/jobsite", USER, USER)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
