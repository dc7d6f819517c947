"""Name the folders of the bench's own files: all under `.bench/`, which `make clean` removes."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = ROOT / ".bench"
RESULTS = WORK / "results"
VENV = WORK / "venv"
NODE = WORK / "node"
DATA = WORK / "postgres"
LOGS = WORK / "logs"
