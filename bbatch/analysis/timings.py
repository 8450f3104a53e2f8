"""What `make bench` measured: how many times faster, what a step costs, what Dask costs.

`results/benchmarks/*.csv` are tidy (see `benchmarks/measure.py`), each with a JSON file that names the
machine.
"""

import pandas as pd

from ..config import DATASETS, SYNTHETIC, plan
from ..errors import BadInput, positive
from ..records.store import FROZEN

FOLDER = FROZEN / "benchmarks"


def read_timings(name: str) -> pd.DataFrame:
    """A table of measurements: synthetic, images, scaling, landscape, cuda, cluster, checks. Raises
    `BadInput` for one that is not there."""
    path = FOLDER / f"{name}.csv"
    if not path.is_file():
        raise BadInput(
            f"{name!r} has not been measured here; `make bench` measures synthetic, images, scaling "
            "and landscape, `make bench DEVICE=cuda` measures cuda."
        )
    return pd.read_csv(path)


def over(table: pd.DataFrame, who: str, rival: str) -> pd.Series:
    """How many times faster `who` is than `rival`, by (dataset, batch_size), through the first."""
    ratio = table.pivot(index=["dataset", "batch_size"], columns="contestant", values="ratio")
    return ratio[who] / ratio[rival] if rival in ratio else pd.Series(dtype=float)


def cost_of_a_step(table: pd.DataFrame) -> tuple[float, float]:
    """(a, b) of the model a + b·B for our microseconds a step: through the smallest and the largest B."""
    ours = table[table["contestant"] == "bbatch"].sort_values("batch_size")
    (b0, t0), (b1, t1) = ours[["batch_size", "median"]].to_numpy()[[0, -1]]
    slope = (t1 - t0) / (b1 - b0)
    return float(t0 - slope * b0), float(slope)


def seconds_of_the_grid(fixed: float, each: float) -> float:
    """What a seed of the paper's synthetic sets takes at `cost_of_a_step`: all batch sizes, full protocol."""
    runs = [plan(name, b) for name in SYNTHETIC for b in DATASETS[name].protocol.batch_sizes]
    return sum(run.epochs * (run.steps(0) * fixed + run.n_train * each) for run in runs) / 1e6


def overheads(measured: pd.DataFrame, seconds: float = 10.0) -> pd.DataFrame:
    """What each executor costs (`benchmarks.cluster`): medians, a row for each number of workers.

    Raises `BadInput` for a run of no `seconds`.

    Columns: executor, workers, runs a minute, overhead a run in seconds (negative where noise exceeds it),
    and what Dask costs over the sweep's own processes in percent of a run of `seconds`, round by round.
    """
    positive("duration of a run in seconds", seconds)
    wide = measured.pivot(index=["workers", "round"], columns="executor", values="overhead_s")
    extra = (100 * (wide["dask"] - wide["processes"]) / seconds).groupby("workers").median()
    rows = []
    for (name, workers), group in measured.groupby(["executor", "workers"], sort=False):
        rows.append(
            {
                "executor": name,
                "workers": workers,
                "runs a minute": (60 * group["runs"] / group["elapsed_s"]).median(),
                "overhead a run, s": group["overhead_s"].median(),
                f"over processes, % of a {seconds:g} s run": extra[workers]
                if name == "dask"
                else float("nan"),
            }
        )
    return pd.DataFrame(rows)
