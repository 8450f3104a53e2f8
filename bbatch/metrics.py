"""Records to one tidy table, a row a run; accuracies and gaps in percent, as in the paper.

Those of Section III-D, and what else a page asks of a run:

test_acc            accuracy after the last epoch on the test set, eval mode
train_acc           accuracy after the last epoch on the clean training samples, eval mode
train_acc_running   accuracy counted while the last epoch ran: dropout and augmentation on, weights moving
gap                 train_acc - test_acc: the generalization gap in its usual sense
gap_running         train_acc_running - test_acc: what the paper's gap must have been (it is often negative
                    there, and its Table VII gives less training than test accuracy, which dropout explains)
epoch_time_s        mean elapsed seconds of training an epoch, evaluation left out, and disturbed epochs too
                    (below) where there are others
epoch_cpu_s         the same in processor time, free of other work on the machine; missing where not recorded,
                    and of runs on a GPU
disturbed_epochs    epochs that took more than twice their processor time and 0.1 s besides: other work on the
                    machine, or a machine asleep, makes their elapsed time say little (runs on a CPU; missing
                    where not recorded)
convergence_epoch   first epoch (from 1) with more than 80 % test accuracy; missing where none has
"""

import math
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from .config import DATASETS, Run
from .statistics import Interval, mean_interval, proportion_interval

CONVERGED = 80.0  # percent of test accuracy, Section III-D
CHANCE = 5.0  # percent; a run that ends no more than this above chance has learned nothing
COLUMNS = """
    dataset batch_size seed lr_rule lr warmup_epochs optimizer epochs
    test_acc train_acc train_acc_running gap gap_running epoch_time_s convergence_epoch diverged
    device data_source data_fingerprint commit precision n_train n_test epoch_cpu_s engine device_name failure
    disturbed_epochs started follows_the_paper id
""".split()
# The columns that hold what a record says, word for word: of its run, and of what was observed.
OF_RUN = "dataset batch_size seed lr_rule lr warmup_epochs optimizer epochs precision n_train".split()
OBSERVED = "device commit engine device_name".split()
# Between two runs' starts, several times our longest run; a longer pause ends a sitting.
PAUSE = pd.Timedelta(hours=6)
# What a reader adds: a function of the record of a finished run, and with it a column of every frame.
MORE_METRICS: dict[str, Callable[[dict], float | None]] = {}
# What the command line prints of a run; with `--json` it gives all columns.
IN_SHORT = """
    dataset batch_size seed lr_rule lr warmup_epochs precision epochs n_train
    test_acc train_acc gap gap_running epoch_time_s device data_source id
""".split()
CURVE_COLUMNS = """
    dataset batch_size seed lr_rule precision device_name device id started epoch
    test_acc train_acc_running train_loss test_loss seconds cpu_seconds
""".split()


def row(record: dict) -> dict:
    """The metrics of one record under the names of `COLUMNS` and `MORE_METRICS`."""
    run, final, observed = Run.from_dict(record["run"]), record["final"], record["observed"]
    n_test = record["data"]["n_test"]
    same = {name: getattr(run, name) for name in OF_RUN} | {name: observed[name] for name in OBSERVED}
    same |= {
        "data_source": record["data"]["source"],
        "data_fingerprint": record["data"]["fingerprint"],
        "n_test": n_test,
        "failure": observed.get("failure"),
        "started": pd.Timestamp(observed["started"]),
        "follows_the_paper": run.follows_the_paper(),
        "id": record["id"],
    }
    if same["failure"]:
        return same
    test, train = 100 * final["test_correct"] / n_test, 100 * final["train_correct"] / run.n_train
    running = 100 * record["history"]["train_correct"][-1] / run.n_train
    curve = 100 * np.array(record["history"]["test_correct"]) / n_test
    above = np.flatnonzero(curve > CONVERGED)
    disturbed = _disturbed(observed)
    return same | {
        "test_acc": test,
        "train_acc": train,
        "train_acc_running": running,
        "gap": train - test,
        "gap_running": running - test,
        # Runs that share a GPU lengthen each other's epochs: such a time says nothing of the batch size.
        "epoch_time_s": None if shared(observed) else _epoch_time(observed["seconds"], disturbed),
        "epoch_cpu_s": float(_processor(observed).mean()),
        "disturbed_epochs": None if disturbed is None else int(disturbed.sum()),
        "convergence_epoch": int(above[0]) + 1 if len(above) else None,
        # The loss is None where it was not finite after the last epoch.
        "diverged": final["diverged_epoch"] is not None or final["train_loss"] is None,
        **{name: metric(record) for name, metric in MORE_METRICS.items()},
    }


def near_chance(dataset: str) -> float:
    """The accuracy, in percent, up to which a run has learned nothing: `CHANCE` points above chance."""
    return 100 / DATASETS[dataset].classes + CHANCE


def shared(observed: dict) -> bool:
    """Whether the run shared its GPU with others (`side_by_side` of them), which a CPU's processes do not."""
    return (observed.get("side_by_side") or 1) > 1


def _elapsed(observed: dict) -> np.ndarray:
    """Seconds since the start after each epoch; missing for a run that shared its GPU."""
    seconds = np.cumsum(observed["seconds"])
    return np.full(len(seconds), math.nan) if shared(observed) else seconds


def _processor(observed: dict) -> np.ndarray:
    """Processor seconds of each epoch; missing where they are not recorded, and of runs on a GPU: what its
    host spends on them is not what they cost."""
    known = observed["device"] == "cpu" and observed.get("cpu_seconds")
    return np.array(observed["cpu_seconds"]) if known else np.full(len(observed["seconds"]), math.nan)


def _disturbed(observed: dict) -> np.ndarray | None:
    """Which epochs took far longer than their processor time, bool [epochs]; None where it is not known."""
    spent = _processor(observed)
    return None if np.isnan(spent).any() else np.array(observed["seconds"]) > 2 * spent + 0.1


def _epoch_time(seconds, disturbed: np.ndarray | None) -> float:
    seconds = np.array(seconds)
    if disturbed is not None and not disturbed.all():
        seconds = seconds[~disturbed]
    return float(seconds.mean())


def frame(records: Iterable[dict]) -> pd.DataFrame:
    """A row for each record, sorted by data set, batch size and seed; with all columns, also when empty."""
    table = pd.DataFrame([row(r) for r in records], columns=[*COLUMNS, *MORE_METRICS])
    counts = ["convergence_epoch", "disturbed_epochs"]
    table[counts] = table[counts].astype("Int64")
    return table.sort_values(
        ["dataset", "lr_rule", "precision", "batch_size", "seed", "id"], ignore_index=True
    )


def full_protocol(table: pd.DataFrame) -> pd.DataFrame:
    """The finished rows of the paper's protocol in full, decided on every field of the run: another rate,
    warm-up, network or number of epochs is another experiment.

    Each mean over seeds is over one arithmetic (`one_arithmetic`).
    """
    whole = table[table["follows_the_paper"].astype(bool) & table["failure"].isna()]
    return one_arithmetic(whole)


def one_arithmetic(table: pd.DataFrame) -> pd.DataFrame:
    """The rows in their data set's `leading` arithmetic; of a batch size and rule without any, those in the
    other. So the runs decide what is averaged, by their number and not by their results."""
    leads = table["precision"] == table["dataset"].map(leading(table, "dataset"))
    cell = [table[column] for column in ("dataset", "lr_rule", "batch_size")]
    return table[leads | ~leads.groupby(cell).transform("any")]


def leading(table: pd.DataFrame, by: str | list[str]) -> pd.Series:
    """The arithmetic (column "precision") that more rows of each group have; fp32 where both have as many."""
    groups = [by] if isinstance(by, str) else by
    counts = table.groupby([*groups, "precision"]).size().rename("rows").reset_index()
    # Of equal counts the last is taken: "bf16" < "fp32".
    return counts.sort_values(["rows", "precision"]).groupby(by)["precision"].last()


def sittings(started: pd.Series) -> pd.Series:
    """A number for each start: equal where no pause of more than `PAUSE` lies between two of them."""
    starts = started.drop_duplicates().sort_values()
    return started.map(dict(zip(starts, (starts.diff() > PAUSE).cumsum(), strict=True)))


def curves(records: Iterable[dict]) -> pd.DataFrame:
    """Learning curves: a row for each run and epoch, with `CURVE_COLUMNS`, also when empty.

    test_acc and train_acc_running are in percent; seconds and cpu_seconds run from the start, evaluation left
    out (the latter missing where not recorded, and on a GPU), on the machine device_name, a device "cpu" or
    "cuda"; started is in UTC.
    """
    rows = []
    for r in records:
        run, seen, h = r["run"], r["observed"], r["history"]
        same = [run[name] for name in ("dataset", "batch_size", "seed", "lr_rule", "precision")]
        same += [seen["device_name"], seen["device"], r["id"], pd.Timestamp(seen["started"])]
        of_epochs = zip(
            100 * np.array(h["test_correct"]) / r["data"]["n_test"],
            100 * np.array(h["train_correct"]) / run["n_train"],
            h["train_loss"],
            h["test_loss"],
            _elapsed(seen),
            _processor(seen).cumsum(),
            strict=True,
        )
        rows += [(*same, epoch, *values) for epoch, values in enumerate(of_epochs, 1)]
    # one frame, not one a run: pandas takes 2 ms for each, and all pages ask for hundreds
    return pd.DataFrame(rows, columns=CURVE_COLUMNS)


def interval(cell: pd.DataFrame, metric: str) -> Interval:
    """Mean and 95 % interval of one metric over the seeds of one cell of the grid.

    A single seed's test accuracy carries the sampling error of the test set (Wilson) and n = 1; a single seed
    of any other metric has no interval. Times of several machines, arithmetics or sittings have no mean.
    """
    if metric in ("epoch_time_s", "epoch_cpu_s") and not _one_clock(cell):
        return Interval(math.nan, math.nan, math.nan, len(cell))
    if metric == "test_acc" and len(cell) == 1:
        n_test = int(cell["n_test"].iloc[0])
        i = proportion_interval(round(cell["test_acc"].iloc[0] * n_test / 100), n_test)
        return Interval(i.mean, i.low, i.high, 1)
    return mean_interval(cell[metric])


def _one_clock(cell: pd.DataFrame) -> bool:
    alike = cell[["device_name", "precision"]].assign(sitting=sittings(cell["started"]))
    return len(alike.drop_duplicates()) <= 1
