"""Where the files of this installation are: in a checkout of the repository, or in an installed wheel.

A wheel has the repository's templates and examples inside the package. What it keeps (`.env`, `.static/`, `.run/`, the
embedded database) is in the current directory.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
IS_WHEEL = (_PACKAGE / "templates").is_dir()
#: Where settings are read from and files are written to.
HOME = Path.cwd() if IS_WHEEL else _PACKAGE.parent
TEMPLATES = (_PACKAGE if IS_WHEEL else HOME) / "templates"
EXAMPLES = _PACKAGE / "dev" / "examples" if IS_WHEEL else HOME / "client" / "examples"
#: The files that the sample jobs read.
PAPERS = _PACKAGE / "dev" / "papers" if IS_WHEEL else HOME
