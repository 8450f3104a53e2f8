"""A study's table: one Parquet file, a row a run, no history. Equal rows in any order give equal bytes."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..config import DATASETS
from ..errors import one_of
from ..files import write_whole
from ..metrics import leading
from ..records.store import FROZEN

FOLDER = FROZEN / "studies"
_TEXT, _WHOLE, _REAL = pa.string(), pa.int64(), pa.float64()
# What the trial decides on one machine and one set of versions.
DECIDED = {
    "id": _TEXT,
    "dataset": _TEXT,
    "problem": _WHOLE,  # seed of the generator problem; missing for a named data set
    "source": _TEXT,
    "fingerprint": _TEXT,
    "batch_size": _WHOLE,
    "lr": _REAL,
    "lr_rule": _TEXT,
    "base_lr": _REAL,
    "base_batch": _WHOLE,
    "optimizer": _TEXT,
    "momentum": _REAL,
    "weight_decay": _REAL,
    "warmup_epochs": _WHOLE,
    "network": _TEXT,
    "batch_schedule": _TEXT,
    "lr_schedule": _TEXT,
    "epochs": _WHOLE,
    "patience": _WHOLE,  # of early stopping; missing: all epochs are trained
    "averages": _TEXT,  # of batch normalization, see `Trial`
    "epochs_run": _WHOLE,
    "precision": _TEXT,
    "seed": _WHOLE,
    "n_train": _WHOLE,
    "n_held_out": _WHOLE,
    "n_test": _WHOLE,
    "held_out_correct": _WHOLE,
    "held_out_loss": _REAL,
    "test_correct": _WHOLE,
    "test_loss": _REAL,
    "running_correct": _WHOLE,
    "diverged": pa.bool_(),
}
# What the machine and the day did. Seconds are of training, and of the scores that early stopping needs.
OBSERVED = {
    "seconds": _REAL,
    "cpu_seconds": _REAL,
    "engine": _TEXT,
    "device": _TEXT,
    "device_name": _TEXT,
    "commit": _TEXT,
    "system": _TEXT,
    "python": _TEXT,
    "versions": _TEXT,
}
SCHEMA = pa.schema(list((DECIDED | OBSERVED).items()))
COLUMNS = SCHEMA.names
ORDER = [
    "dataset",
    "problem",
    "n_train",
    "lr_rule",
    "warmup_epochs",
    "epochs",
    "batch_size",
    "lr",
    "seed",
    "id",
]


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.parquet"


def table_rows(name: str) -> list[dict]:
    """The rows of a study's table; none where there is no table yet."""
    path = path_of(name)
    return pq.read_table(path, schema=SCHEMA).to_pylist() if path.is_file() else []


def read_table(name: str) -> pd.DataFrame:
    """The table with the columns of `COLUMNS`, counts that may be missing as nullable integers, and two more:
    `test_acc` and `held_out_acc` in percent.

    The rows of a data set are in one arithmetic, the `leading` one. Raises `BadInput` for a study without a
    table.
    """
    one_of("recorded study", name, sorted(path.stem for path in FOLDER.glob("*.parquet")))
    table = table_frame(table_rows(name))
    return table[table["precision"] == table["dataset"].map(leading(table, "dataset"))]


def table_frame(found: list[dict]) -> pd.DataFrame:
    """Rows as `read_table` gives them."""
    table = pa.Table.from_pylist(found, SCHEMA).to_pandas(types_mapper={_WHOLE: pd.Int64Dtype()}.get)
    # the first tables lack these columns
    own = table["dataset"].map(lambda name: DATASETS[name].network if name in DATASETS else "mlp")
    fixed = {"batch_schedule": "fixed", "lr_schedule": "fixed", "averages": "running"}
    table = table.fillna(fixed | {"network": own, "epochs_run": table["epochs"]})
    for part in ("test", "held_out"):
        right, n = (table[c].astype(float) for c in (f"{part}_correct", f"n_{part}"))
        table[f"{part}_acc"] = 100 * right / n.where(n > 0)
    return table


def write_table(name: str, found: list[dict]) -> None:
    """Write these rows, in canonical order, as the study's table; it is there whole or not at all."""
    ordered = sorted(found, key=lambda row: tuple(-1 if row[c] is None else row[c] for c in ORDER))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ordered, SCHEMA), sink, compression="zstd")
    write_whole(path_of(name), sink.getvalue().to_pybytes())
