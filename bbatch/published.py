"""What the paper prints: Tables III-VIII cell by cell, and the statements of its prose, from `paper/*.csv`.

The one place where published numbers come from. Accuracies are in percent, gaps in percentage points (train
minus test, Section III-D), times in seconds an epoch, as printed. Protocol (Tables I and II) is in `config`.
"""

from functools import lru_cache
from pathlib import Path

import pandas as pd

from .config import DATASETS
from .errors import BadInput, one_of

# The column of `results` that each of our metrics answers to. The paper's gap is the running one (`metrics`).
COLUMN_OF = {"test_acc": "test_acc", "gap_running": "gap", "epoch_time_s": "epoch_time_s"}
FOLDER = Path(__file__).with_name("paper")


@lru_cache
def _read(name: str, as_text: bool = False) -> pd.DataFrame:
    """A CSV file of the folder; "None" and the like stay text, only an empty cell is missing."""
    if as_text:
        return pd.read_csv(FOLDER / f"{name}.csv", dtype=str, keep_default_na=False)
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
    """Testable statements of the prose, abstract to appendix D, in the order of the paper; tables are apart.

    Columns: id, section ("abstract", "IV-A", "appendix D", ...), relation of the quantity to its value (=, ~,
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


def printed_frame() -> pd.DataFrame:
    """Tables III, IV and VII with the columns of `metrics.frame`, one run a cell, so that the same question
    can be asked of the paper and of our runs.

    The one printed gap stands under both readings, and the printed training accuracy under both likewise. For
    each number METRIC_rounding: half of the last digit that is printed of it. `printed` marks the frame."""
    table = results().rename(columns={"train_acc": "train_acc_running"})
    return _as_runs(table.assign(lr_rule="linear"))


def ablation_frame() -> pd.DataFrame:
    """Table V in the form of `printed_frame`."""
    return _as_runs(learning_rate_ablation().assign(dataset="synthetic-50k"))


def _as_runs(table: pd.DataFrame) -> pd.DataFrame:
    texts = pd.concat(_read(f"table-{name.lower()}", as_text=True) for name in table["table"].unique())
    texts = texts.rename(columns={"train_acc": "train_acc_running", "gap": "gap_running"})
    table = table.rename(columns={"gap": "gap_running"})
    for column in [c for c in table if c in ("train_acc_running", "test_acc", "gap_running", "epoch_time_s")]:
        halves = texts[column].map(_half).set_axis(table.index)
        table[f"{column}_rounding"] = halves.where(table[column].notna())
    for reading, column in (("gap", "gap_running"), ("train_acc", "train_acc_running")):
        if column in table:
            table[[reading, f"{reading}_rounding"]] = table[[column, f"{column}_rounding"]]
    where = "Table " + table["table"] + ", row " + table["row"].astype(str)
    protocols = {name: spec.protocol for name, spec in DATASETS.items()}
    epochs = table["dataset"].map(lambda name: protocols[name].epochs)
    return table.assign(seed=42, epochs=epochs, id=where, printed=True)


def decimals(column: pd.Series) -> int:
    """How many digits after the point a column of the paper shows: those of the cell that shows most, since
    there 67.0 stands for 67.00."""
    return max((len(repr(float(v)).partition(".")[2]) for v in column.dropna()), default=0)


def statement(id: str) -> pd.Series:
    """The row of one statement. Raises `BadInput` for an unknown id."""
    table = _read("text").set_index("id")
    one_of("statement", id, table.index)
    return table.loc[id]


def printed(id: str) -> tuple[str, float]:
    """The printed number of a statement and half of its last digit. Empty and NaN for words."""
    text = _read("text", as_text=True).set_index("id")["value"]
    one_of("statement", id, text.index)
    return text[id], _half(text[id]) if text[id] else float("nan")


def _half(text: str) -> float:
    """Half of the last digit of a number as it is printed."""
    return 0.5 * 10.0 ** -len(text.partition(".")[2])


def value(id: str) -> float:
    """The number of one statement, in the statement's unit.

    Raises `BadInput` for an unknown id, and where the statement gives a range or no number.
    """
    row = statement(id)
    if pd.isna(row["value"]) or row["relation"] == "range":
        what = "no number" if pd.isna(row["value"]) else f"a range, {row['value']:g} to {row['upper']:g}"
        raise BadInput(f"statement {id!r} gives {what}; `value` serves statements of one number.")
    return float(row["value"])
