"""The tables of what was measured of trained networks: made here, read here, and nowhere typed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from .. import data
from ..config import DATASETS, Run
from ..errors import StoreError, one_of
from ..files import write_whole
from ..records.store import FROZEN, Store
from ..sweeping.worker import commit
from . import landscape, one_network, sharpness
from .networks import EFFORT, REFERENCE, Effort, at_hand, epochs_of, networks, planned, samples
from .one_network import EPSILON

FOLDER = FROZEN / "geometry"
RUN_COLUMNS = ["dataset", "batch_size", "lr_rule", "precision", "seed"]
COLUMNS = [
    *RUN_COLUMNS,
    "epoch",
    "split",
    "measure",
    "value",
    "n_samples",
    "settings",
    "id",
    "source",
    "commit",
]
POINT_COLUMNS = [*RUN_COLUMNS, "split", "kind", "a", "b", "loss", "n_samples", "to_batch_size", "id"]
RESCALED_COLUMNS = [*RUN_COLUMNS, "factor", "norm", "value", "n_samples", "id"]


def measured(datasets=None) -> pd.DataFrame:
    """The recorded measurements, a row for each run, epoch and measure; empty with the same columns where none is.

    Of a seed measured in both precisions only one is given, that with more of its networks (32 bits where they are as
    many): so that ratios over batch sizes pair networks of one kind, and no seed counts twice.

    Columns:

    dataset, batch_size, lr_rule, precision, seed   the run whose weights were measured
    epoch       epochs trained: 0 at initialisation, the run's last at convergence
    split       "train" or "test": the samples of the loss
    measure     one of `MEASURES`, which says what it is
    value       in the measure's unit
    n_samples   how many samples of the split were used: the first n of a seeded order
    settings    what else decides the value: epsilon, steps, restarts, probes
    id          key of the run's record
    source      where the weights came from: "initial"; "kept" by the sweep; "retrained", with the scores of the record
                met (counts exactly, losses to a millionth); "retrained, differs" where this machine's rounding led
                elsewhere; "retrained, no record"
    commit      the package's, when it was measured

    For the measures "gradient_variance_one_network...", `batch_size` is that of the mini-batches drawn, on the network
    of the run with B = `REFERENCE` (see `id`). Sharpness for the paper's ratio to the letter is `LITERAL` at the
    last epoch.
    """
    return _one_precision(_read("", COLUMNS, datasets))


def _one_precision(table: pd.DataFrame) -> pd.DataFrame:
    cell = ["dataset", "seed", "precision"]
    counts = table[table["epoch"] > 0].groupby(cell)["id"].nunique().reset_index()
    kept = counts.sort_values(["id", "precision"], ascending=False).drop_duplicates(
        cell[:2]
    )  # "fp32" > "bf16"
    trained = table.merge(kept[cell], on=cell)
    return pd.concat([table[table["epoch"] == 0], trained[trained["epoch"] > 0]], ignore_index=True)


def surfaces(datasets=None) -> pd.DataFrame:
    """The recorded landscapes, a row for each point: the run's columns, split, kind, a, b, loss, n_samples, id.

    kind "surface": loss at w + a·d1 + b·d2, filter-normalised; kind "path": loss at w + a·(w' − w), where w' is the
    network of `to_batch_size` and the same seed (b is 0).
    """
    return _read("-landscape", POINT_COLUMNS, datasets)


def collapsed(table: pd.DataFrame) -> pd.DataFrame:
    """The trained networks that classify training samples within 5 points of chance, a row each: the run's columns, id.
    What is read off them says nothing of minima."""
    t = table[(table["measure"] == "accuracy") & (table["split"] == "train") & (table["epoch"] > 0)]
    chance = 100 / t["dataset"].map(lambda name: DATASETS[name].classes).astype(float)
    return t[t["value"] < chance + 5][[*RUN_COLUMNS, "id"]].drop_duplicates()


def converged(table: pd.DataFrame) -> pd.DataFrame:
    """A table of `measured` without the networks that `collapsed`."""
    return table[~table["id"].isin(collapsed(table)["id"])]


def rescaling(datasets=None) -> pd.DataFrame:
    """Each reading of Eq. (3) on one network whose first layer is multiplied and second divided by `factor`, which
    leaves its function as it was: the run's columns, factor, norm, value, n_samples, id."""
    return _read("-rescaled", RESCALED_COLUMNS, datasets)


def measure(
    datasets=None, seeds: int | None = None, store: Store | None = None, progress: bool = True
) -> list[dict]:
    """Measure what is missing of these data sets and write it to `FOLDER`, run by run; a row for each data set.

    Synthetic networks are trained again, in seconds; those of images come from the weights that the sweep keeps in the
    live store. Row: dataset, measured (runs, now), without_weights (runs that have none here), needs (the command that
    gives them). Raises `BadInput` for a data set that is not in `EFFORT`.
    """
    store, rows = store or Store(), []
    for name in datasets or EFFORT:
        one_of("data set with measurements of geometry", name, EFFORT)
    for name in datasets or EFFORT:
        source, done, have = data.load(name), 0, _read("", COLUMNS, [name])
        runs = planned(name, seeds, store, source.fingerprint)
        for run in tqdm(runs, desc=name, unit="run", disable=not progress):
            key = run.key(source.fingerprint)
            todo = [e for e in epochs_of(run) if not ((have["id"] == key) & (have["epoch"] == e)).any()]
            found = []
            for epoch, net, origin in networks(run, key, source, store, todo):
                found += [
                    {"epoch": epoch, "id": key, "source": origin, **row}
                    for row in one_network.rows(run, epoch, net, source)
                ]
            if found:
                new = pd.DataFrame(
                    [
                        {**{c: getattr(run, c) for c in RUN_COLUMNS}, "commit": commit(), **row}
                        for row in found
                    ]
                )
                have = pd.concat([have, new[COLUMNS]], ignore_index=True)
                _write("", name, have)
                done += 1
        ends = have[have["epoch"] == runs[0].epochs]
        ends = set(zip(ends["batch_size"], ends["lr_rule"], ends["seed"]))  # in whichever precision
        missing = [run for run in runs if (run.batch_size, run.lr_rule, run.seed) not in ends]
        needs = "; ".join(
            f"bbatch run {name} --batch-size {r.batch_size} --seed {r.seed}" for r in missing[:1]
        )
        rows.append(
            {"dataset": name, "measured": done, "without_weights": len(missing), "needs": needs or None}
        )
    return rows


SURFACES = {
    "synthetic-50k": (32, 512),
    "mnist": (32, 256, 512),
    "cifar10": (32, 256, 512),
}  # Figs. 9 and 10; all: IV-E
WALKED = (
    "synthetic-50k",
)  # a surface costs seconds there: drawn at every batch size measured, under each rule
PATH = (-0.5, 1.5)  # beyond both ends


def pictured(points: pd.DataFrame, dataset: str, rule: str = "linear", sizes=None) -> pd.DataFrame:
    """The rows of `surfaces` that make up the surfaces under a rule, at these batch sizes or those of the paper's
    figures: of one seed and precision, that with most of them."""
    t = points[
        (points["dataset"] == dataset)
        & (points["kind"] == "surface")
        & (points["lr_rule"] == rule)
        & points["batch_size"].isin(sizes or SURFACES.get(dataset, ()))
    ]
    if t.empty:
        return t
    counts = t.groupby(["seed", "precision"])["batch_size"].nunique()
    seed, precision = counts.idxmax()
    return t[(t["seed"] == seed) & (t["precision"] == precision)]


def draw(datasets=None, store: Store | None = None, progress: bool = True) -> list[dict]:
    """Compute the landscapes that are missing and write them to `FOLDER`, one by one; a row for each data set: dataset,
    drawn (networks). One that is cut off goes on from its last points, which wait among the store's checkpoints.

    On the test and on the training loss, of the networks of one seed and precision that can be had, at the batch sizes of
    `SURFACES` (all that are measured, under each rule, of those `WALKED`): a surface; from B = 32 to each other size of
    `SURFACES` the path between the two; and `rescaling`.
    """
    store, rows = store or Store(), []
    for name in datasets or EFFORT:
        one_of("data set with measurements of geometry", name, EFFORT)
    for name in [name for name in datasets or EFFORT if name in SURFACES]:
        source = data.load(name)
        keys = {run: run.key(source.fingerprint) for run in _of_one_seed(name, store, source.fingerprint)}
        missing, rescaled = (
            _undrawn(name, keys, surfaces([name])),
            name not in WALKED or len(rescaling([name])) > 0,
        )
        nets = (
            {run: net for run in keys for _, net, _ in networks(run, keys[run], source, store, [run.epochs])}
            if missing or not rescaled
            else {}
        )
        if missing:
            store.prepare()
        for run, split, to in missing:
            part = store.checkpoints / f"landscape-{keys[run]}-{split}-{to.batch_size if to else 0}"
            new = _points(
                EFFORT[name],
                nets[run],
                nets[to] if to else None,
                *samples(source, split, EFFORT[name].n_landscape),
                part,
                progress,
            )
            new = new.assign(
                split=split,
                to_batch_size=to.batch_size if to else 0,
                id=keys[run],
                **{c: getattr(run, c) for c in RUN_COLUMNS},
            )
            _write("-landscape", name, pd.concat([surfaces([name]), new[POINT_COLUMNS]], ignore_index=True))
            part.unlink(missing_ok=True)
        if not rescaled:
            base = next(r for r in keys if r.batch_size == REFERENCE)
            _write("-rescaled", name, _rescaled(base, keys[base], nets[base], source))
        rows.append({"dataset": name, "drawn": len({run for run, *_ in missing})})
    return rows


def _of_one_seed(name: str, store: Store, fingerprint: str) -> list[Run]:
    """The networks whose landscapes are drawn: those of the seed and precision with most of them at hand."""
    found: dict[tuple, list[Run]] = {}
    for run in planned(name, None, store, fingerprint):
        if (name in WALKED or (run.batch_size in SURFACES[name] and run.lr_rule == "linear")) and at_hand(
            run, store, fingerprint
        ):
            found.setdefault((run.seed, run.precision), []).append(run)
    return max(found.values(), key=len, default=[])  # the first of equals: 32 bits, the lowest seed


def _undrawn(name: str, keys: dict[Run, str], have: pd.DataFrame) -> list[tuple[Run, str, Run | None]]:
    """(run, split, None) for each surface that is missing, (run, split, other run) for each path."""
    ends = [
        run
        for run in keys
        if run.lr_rule == "linear" and run.batch_size in SURFACES[name] and run.batch_size != REFERENCE
    ]
    done = set(zip(have["id"], have["split"], have["to_batch_size"]))
    return [
        (run, split, to)
        for run in keys
        for split in ("train", "test")
        for to in (None, *(ends if run.batch_size == REFERENCE else ()))
        if (keys[run], split, to.batch_size if to else 0) not in done
    ]


def _points(effort: Effort, net, to, x, y, part: Path, progress: bool) -> pd.DataFrame:
    """The surface around a network, or the path from it `to` another one, on these samples; `part` holds what is done."""
    if to is None:
        axis = [2 * k / (effort.points - 1) - 1 for k in range(effort.points)]
        losses = landscape.landscape(
            net,
            cross_entropy,
            x,
            y,
            landscape.filter_directions(net),
            [axis, axis],
            resume=part,
            progress=progress,
        )
        found = {
            "kind": "surface",
            "a": [a for a in axis for _ in axis],
            "b": axis * len(axis),
            "loss": losses.ravel(),
        }
    else:
        axis = [PATH[0] + (PATH[1] - PATH[0]) * k / (effort.points - 1) for k in range(effort.points)]
        losses = landscape.landscape(
            net, cross_entropy, x, y, landscape.toward(net, to), [axis], resume=part, progress=progress
        )
        found = {"kind": "path", "a": axis, "b": 0.0, "loss": losses}
    return (
        pd.DataFrame(found)
        .assign(n_samples=len(y))
        .astype({"a": "float32", "b": "float32", "loss": "float32"})
    )


def _rescaled(run: Run, key: str, net, source: data.Data) -> pd.DataFrame:
    effort = EFFORT[run.dataset]
    x, y = samples(source, "train", effort.n)
    first, second = [m for m in net.modules() if isinstance(m, torch.nn.Linear)][:2]
    rows, so_far = [], 1.0
    for factor in (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0):
        sharpness.rescale(net, first, second, factor / so_far)
        so_far = factor
        for norm in sharpness.NORMS:
            found = sharpness.sharpness(
                net,
                cross_entropy,
                x,
                y,
                EPSILON,
                norm,
                steps=effort.steps,
                restarts=effort.restarts,
                directions=effort.directions,
            )
            rows.append(
                {"factor": factor, "norm": norm, "value": found.value, "n_samples": len(y), "id": key}
            )
    return pd.DataFrame(rows).assign(**{c: getattr(run, c) for c in RUN_COLUMNS})[RESCALED_COLUMNS]


def _read(what: str, columns: list[str], datasets) -> pd.DataFrame:
    paths = [FOLDER / f"{name}{what}.parquet" for name in datasets or EFFORT]
    try:
        parts = [pd.read_parquet(path) for path in paths if path.is_file()]
    except (OSError, ValueError) as error:  # pyarrow's kinds are among them
        raise StoreError(
            f"a table of {FOLDER.name} of {', '.join(datasets or EFFORT)} is damaged "
            f"({' '.join(str(error).split()).rstrip('.')}); restore it from the repository."
        ) from error
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _write(what: str, name: str, table: pd.DataFrame) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_whole(FOLDER / f"{name}{what}.parquet", table.to_parquet(index=False, compression="zstd"))
