"""How long the checks take that "How to check this book" proposes: writes results/benchmarks/checks.csv.

`python -m benchmarks.checks` runs those named (by default all but the long ones) and renews their rows.
Elapsed time belongs to the machine and to what else it does; processor time is that of all processes started.
"""

import json
import os
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime

import pandas as pd

from bbatch.pages.benchmarks import FOLDER
from bbatch.records.store import ROOT
from bbatch.sweeping.worker import environment

PYTHON = sys.executable
CHECKS = {  # name -> what a reader types, what runs here
    "sums": (
        "cd results && sha256sum -c SHA256SUMS",
        ["bash", "-c", "cd results && sha256sum -c SHA256SUMS"],
    ),
    "verify": ("bbatch verify --sample 5", [PYTHON, "-m", "bbatch", "verify", "--sample", "5"]),
    "book": ("make book", [PYTHON, "-m", "bbatch.publishing", "book"]),
    "pdf": ("make pdf", [PYTHON, "-m", "bbatch.publishing", "pdf"]),
    "test": ("make test", ["make", "test"]),
    "faults": ("make faults", [PYTHON, "-m", "tests.faults"]),
}
LONG = ("test", "faults")


def measure(name: str) -> dict:
    """Run one check; its row. Stops with the check's own output where it fails."""
    said, command = CHECKS[name]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{said} ended with {done.returncode}:\n{done.stdout[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "name": name,
        "command": said,
        "seconds": round(time.monotonic() - started, 1),
        "processor_seconds": round(cpu, 1),
        "date": datetime.now(UTC).date().isoformat(),
    }


def main() -> None:
    names = sys.argv[1:] or [name for name in CHECKS if name not in LONG]
    path = FOLDER / "checks.csv"
    rows = pd.read_csv(path).to_dict("records") if path.is_file() else []
    for name in names:
        row = measure(name)
        print(row, flush=True)
        rows = sorted(
            [r for r in rows if r["name"] != name] + [row], key=lambda r: list(CHECKS).index(r["name"])
        )
        pd.DataFrame(rows).to_csv(path, index=False)
    about = environment("cpu") | {"cores": os.cpu_count(), "date": rows[-1]["date"]}
    (FOLDER / "checks.json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
