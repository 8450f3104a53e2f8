"""What notebooks import: records in; sentences, tables and provenance out, in JupyterLab as in the book."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pandas as pd
from IPython.display import HTML

from .. import metrics
from ..analysis import generalization_gap
from ..config import DATASETS, LR_RULES, PRECISIONS, Run
from ..errors import one_of
from ..profiles import grid
from ..records.store import Store
from ..sweeping import dask_cluster
from ..sweeping.sweep import sweep
from . import parameters, picture, tables
from .origin import provenance as provenance
from .origin import records_of as records_of
from .parameters import RECORDED
from .shown import PROSE, WIDE, Table, Words, cell_text


def obtain(
    datasets,
    profile: str = "paper",
    seeds: int = 0,
    *,
    compute: bool = False,
    rules: Iterable[str] = ("linear",),
    precision: str = RECORDED,
    device: str = "cpu",
    jobs: int | None = None,
    executor: str = "processes",
    store: Store | None = None,
) -> list[dict]:
    """The records of a profile's runs: those in the store and, with `compute`, the missing ones trained now.

    `seeds` = 0 shows every seed that is recorded, and trains as many as the profile plans. `precision`
    "recorded" takes the runs whose means are over one arithmetic (`metrics.one_arithmetic`), and trains in
    the one that leads. `executor` as in `dask_cluster.executor`.

    Raises `BadInput` for an unknown data set, profile, rule, precision or executor.
    """
    dask_cluster.address_in(executor)  # a wrong name is told now, though nothing may be left to train
    store, rules = store or Store(), list(rules)
    planned = [run for rule in rules for run in grid(datasets, profile, seeds or None, rule)]
    have = _finished(store)
    if compute:
        leads = metrics.leading(_recorded(have, datasets, profile, precision), "dataset")
        otherwise = "fp32" if precision == RECORDED else precision
        wanted = [replace(run, precision=leads.get(run.dataset, otherwise)) for run in planned]
        with dask_cluster.executor(executor, jobs, device) as pool:
            missing = [run for run in wanted if run not in have]
            sweep(missing, store, device=device, jobs=jobs, executor=pool)
        have = _finished(store)
    table = _recorded(have, datasets, profile, precision)
    table = table[table["lr_rule"].isin(rules)]
    if seeds:
        table = table[table["seed"].isin({run.seed for run in planned})]
    by_id = {record["id"]: record for record in have.values()}
    return [by_id[id] for id in table["id"]]


def _recorded(have: dict[Run, dict], datasets, profile: str, precision: str) -> pd.DataFrame:
    """A profile's finished runs, of any seed and under any rule, as `metrics.one_arithmetic` has them."""
    one_of("precision", precision, (RECORDED, *PRECISIONS))
    forms = PRECISIONS if precision == RECORDED else (precision,)
    asked = {
        replace(run, seed=0)
        for form in forms
        for rule in LR_RULES
        for run in grid(datasets, profile, 1, rule, form)
    }
    found = (record for run, record in have.items() if replace(run, seed=0) in asked)
    return metrics.one_arithmetic(metrics.frame(found))


def committed_runs(datasets=tuple(DATASETS)) -> pd.DataFrame:
    """The committed runs of the paper's full protocol, under every rule: what the text of a page speaks of,
    whatever its parameters are."""
    table = metrics.full_protocol(metrics.frame(Store().frozen_records().values()))
    return table[table["dataset"].isin(list(datasets))]


def inventory(
    records: list[dict], datasets, profile: str = "paper", seeds: int = 0, rules=("linear",)
) -> Table:
    """How many runs of each cell of a page's grid are recorded, of how many planned, and whether in bf16: a
    row a batch size, a column a data set and rule."""
    runs = [Run.from_dict(record["run"]) for record in records]
    have = Counter(map(_cell_of, runs))
    low = {_cell_of(run) for run in runs if run.precision == "bf16"}
    planned = Counter(_cell_of(run) for rule in rules for run in grid(datasets, profile, seeds or None, rule))
    named = "{} ({})" if len({rule for _, rule, _ in planned}) > 1 else "{}"
    table = pd.DataFrame({"B": b, "of": named.format(DATASETS[d].title, r)} for d, r, b in planned)
    table["runs"] = [
        f"{have[cell]}" + (f" of {n}" if have[cell] < n else "") + (", in bf16" if cell in low else "")
        for cell, n in planned.items()
    ]
    table = table.pivot(index="B", columns="of", values="runs")[table["of"].unique()].fillna("")
    caption = "Runs recorded for this page, by batch size"
    if any(have[cell] < n for cell, n in planned.items()):
        caption += "; `compute = True`, or `bbatch sweep`, trains those that are missing"
    return show(table.reset_index(), caption)


def _cell_of(run: Run) -> tuple[str, str, int]:
    return run.dataset, run.lr_rule, run.batch_size


def _finished(store: Store) -> dict[Run, dict]:
    return {Run.from_dict(r["run"]): r for r in store.records().values() if not r["observed"].get("failure")}


def paragraphs(sentences) -> Words:
    """Computed sentences, a paragraph each. A hyphen before a number that begins a word is a minus sign."""
    return Words(picture.unbroken(re.sub(r"(?<![^\s(])-(?=\d)", "−", "\n\n".join(sentences))))


def show(table: pd.DataFrame, caption: str) -> Table:
    """A table with its caption, in a box that takes the margin too, and scrolls on a narrow screen.

    Short texts, such as a value with its interval, and lists of numbers stay on one line.
    """
    if "dataset" in table:
        titles = [DATASETS[name].title for name in table["dataset"]]
        table = table.assign(dataset=titles).rename(columns={"dataset": "data set"})
    named = table.rename(columns=lambda c: str(c).replace("_", " ")) if table.columns.nlevels == 1 else table
    named = named.astype(object).where(named.notna(), "–")
    named.columns.names = [None] * named.columns.nlevels  # a name of the columns would take one of its own
    if table.empty:
        caption += " (no runs recorded for it yet)"
    caption += parameters.note()
    plain = dict(index=False, float_format=lambda v: f"{v:.4g}".replace("-", "−"))
    html = named.map(cell_text).to_html(border=0, classes="bbatch-table", justify="right", **plain)
    html = re.sub(rf"<td>(?=[^<]{{{PROSE},}}</td>)", '<td class="bbatch-prose">', html)
    letters = sum(named[column].map(str).map(len).max() for column in named) if len(named) else 0
    wide = len(named.columns) > 5 or letters > WIDE
    box = "bbatch-table-box bbatch-wide full-width" if wide else "bbatch-table-box"
    above = f"<figcaption>{picture.inline(caption)}</figcaption>"
    text = f"{caption}\n\n{named.to_string(**plain)}"
    return Table(f'<figure class="{box}">{above}{html}</figure>', text)


def stack(pieces) -> Table:
    """Several tables, one below the other."""
    pieces = list(pieces)
    return Table("".join(piece.data for piece in pieces), "\n\n".join(map(repr, pieces)))


def comparison(runs: pd.DataFrame, dataset: str) -> HTML:
    """The paper's cells beside ours, with 95 % intervals, n and differences."""
    table = tables.compare(runs, dataset)
    shown = tables.formatted(table)
    caption = (
        f"{DATASETS[dataset].title}: the paper's values, the means of our n runs (± half of the 95 % "
        "interval, or its ends; of a single run, from the test set's sampling error), and ours minus the "
        "paper's"
    )
    if table.loc[table["n"] > 0, "epoch_time_s"].isna().any():
        caption += "; epoch times are left out, as not each mean would be of one machine and day"
        shown = shown.drop(columns=tables.METRICS["epoch_time_s"], level=0)
    return show(shown, caption)


def readings(runs: pd.DataFrame, datasets) -> HTML:
    """How far the paper's gaps lie from ours under each reading of its training accuracy, by data set."""
    rows = []
    for name in datasets:
        table = generalization_gap.which_training_accuracy(runs, name)
        if table["batch_sizes"].all():
            distances = table.set_index("reading")["mean_distance"].map("{:.2f}".format).to_dict()
            sizes = table["batch_sizes"].max()
            rows.append({"data set": DATASETS[name].title, **distances, "batch sizes": sizes})
    return show(
        pd.DataFrame(rows),
        "Mean distance of the paper's gap from ours under each reading of its training accuracy, in "
        "percentage points, over the batch sizes that both have",
    )


def setup() -> None:
    """Check the page's parameters (`parameters.remember`), and show figures as `picture` draws them, in
    JupyterLab as in the book."""
    from IPython import get_ipython
    from IPython.display import display
    from matplotlib.figure import Figure
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats()  # no picture beside the HTML
    if shell := get_ipython():
        parameters.remember(shell.user_ns.get("In", []), shell.user_ns)
        if said := parameters.note():
            text = f"**Made with other parameters than the committed page**{said}. What is written by hand "
            display(Words(f"{text}speaks of the committed runs."))
        shell.display_formatter.formatters["text/html"].for_type(Figure, picture.html)
