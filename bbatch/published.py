"""What the paper prints: Tables III-VIII cell by cell, and the statements of its prose, from `paper/*.csv`.

The one place where published numbers come from. Accuracies are in percent, gaps in percentage points (train
minus test, Section III-D), times in seconds an epoch, as printed. Protocol (Tables I and II) is in `config`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pandas as pd

from .config import DATASETS
from .errors import BadInput, one_of

# The column of `results` that each of our metrics answers to. The paper's gap is the running one (`metrics`).
COLUMN_OF = {"test_acc": "test_acc", "gap_running": "gap", "epoch_time_s": "epoch_time_s"}
FOLDER = Path(__file__).with_name("paper")


@lru_cache
def _read(name: str) -> pd.DataFrame:
    """A CSV file of the folder; "None" and the like stay text, only an empty cell is missing."""
    return pd.read_csv(FOLDER / f"{name}.csv", keep_default_na=False, na_values=[""])


def results(dataset: str | None = None) -> pd.DataFrame:
    """Tables III (MNIST), IV (CIFAR-10) and VII (synthetic sets): a row for each data set and batch size.

    Columns: table, row (from 1, within the table), dataset, batch_size, train_acc and test_acc (percent;
    train_acc is printed in Table VII only, else NaN), gap (points), epoch_time_s. `dataset` picks one of
    `config.DATASETS`. Raises `BadInput` for an unknown name.
    """
    stacked = pd.concat([_read("table-iii"), _read("table-iv"), _read("table-vii")], ignore_index=True)
    if dataset is None:
        return stacked
    one_of("data set", dataset, DATASETS)
    return stacked[stacked["dataset"] == dataset].reset_index(drop=True)


def learning_rate_ablation() -> pd.DataFrame:
    """Table V: the learning rate fixed ("constant") or scaled ("linear") on synthetic-50k, 50 epochs.

    Columns: table, row, batch_size, lr_rule, lr, test_acc (percent), gap (points).
    """
    return _read("table-v").copy()


def critical() -> pd.DataFrame:
    """Table VI: table, row, dataset, optimal_batch_size, critical_batch_size (samples)."""
    return _read("table-vi").copy()


def settings() -> pd.DataFrame:
    """Table VIII: table, row, parameter, value (text as printed)."""
    return _read("table-viii").copy()


def statements(section: str | None = None) -> pd.DataFrame:
    """Testable statements of the prose, abstract to appendix C, in the order of the paper; tables are apart.

    Columns: id, section ("abstract", "IV-A", "appendix C", ...), relation of the quantity to its value (=, ~,
    <, <=, >, >=, or "range" from value to upper; missing, like the value, for a statement in words alone),
    value, upper, unit, text (a paraphrase, the number left out). A difference of two accuracies has the unit
    "points" also where the paper writes "%"; its text then says so. Raises `BadInput` for a section without
    statements.
    """
    table = _read("text")
    if section is None:
        return table.copy()
    one_of("section", section, list(dict.fromkeys(table["section"])))
    return table[table["section"] == section].reset_index(drop=True)


def ledger() -> pd.DataFrame:
    """Every statement with what it is put as (see `claims`), all as text.

    Columns: those of `statements`, then `quantity`, `paper` and `words`, and `put_relation`, `put_value`,
    `put_upper`, `put_unit` where they replace the printed ones.
    """

    def text(name):
        return pd.read_csv(FOLDER / f"{name}.csv", dtype=str, keep_default_na=False)

    put = text("ledger").rename(columns={c: f"put_{c}" for c in ("relation", "value", "upper", "unit")})
    return text("text").merge(put, on="id", how="left", validate="one_to_one").fillna("")


def value(id: str) -> float:
    """The number of one statement, in the statement's unit.

    Raises `BadInput` for an unknown id, and where the statement gives a range or no number.
    """
    table = _read("text").set_index("id")
    one_of("statement", id, table.index)
    row = table.loc[id]
    if pd.isna(row["value"]) or row["relation"] == "range":
        what = "no number" if pd.isna(row["value"]) else f"a range, {row['value']:g} to {row['upper']:g}"
        raise BadInput(f"statement {id!r} gives {what}; `value` serves statements of one number.")
    return float(row["value"])
