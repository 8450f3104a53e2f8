"""The tables of what was measured of trained networks: made here, read here, and nowhere typed."""

from __future__ import annotations

import pandas as pd
import torch
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from .. import data
from ..config import DATASETS, Run, plan
from ..errors import one_of
from ..files import write_whole
from ..store import FROZEN, Store
from ..worker import commit
from . import landscape, probe, sharpness
from .probe import EPSILON, LITERAL, MEASURES  # noqa: F401: part of what this module offers
from .trained import EFFORT, REFERENCE, epochs_of, networks, planned, samples

FOLDER = FROZEN / "geometry"
RUN_COLUMNS = ["dataset", "batch_size", "lr_rule", "precision", "seed"]
COLUMNS = [*RUN_COLUMNS, "epoch", "split", "measure", "value", "n_samples", "settings", "id", "source", "commit"]
POINT_COLUMNS = [*RUN_COLUMNS, "split", "kind", "a", "b", "loss", "n_samples", "to_batch_size", "id"]
RESCALED_COLUMNS = [*RUN_COLUMNS, "factor", "norm", "value", "n_samples", "id"]


def measured(datasets=None) -> pd.DataFrame:
    """The recorded measurements, a row for each run, epoch and measure; empty with the same columns where none is.

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
    return _read("", COLUMNS, datasets)


def surfaces(datasets=None) -> pd.DataFrame:
    """The recorded landscapes, a row for each point: the run's columns, split, kind, a, b, loss, n_samples, id.

    kind "surface": loss at w + a·d1 + b·d2, filter-normalised; kind "path": loss at w + a·(w' − w), where w' is the
    network of `to_batch_size` and the same seed (b is 0).
    """
    return _read("-landscape", POINT_COLUMNS, datasets)


def rescaling(datasets=None) -> pd.DataFrame:
    """Each reading of Eq. (3) on one network whose first layer is multiplied and second divided by `factor`, which
    leaves its function as it was: the run's columns, factor, norm, value, n_samples, id."""
    return _read("-rescaled", RESCALED_COLUMNS, datasets)


def measure(datasets=None, seeds: int | None = None, store: Store | None = None, progress: bool = True) -> list[dict]:
    """Measure what is missing of these data sets and write it to `FOLDER`, run by run; a row for each data set.

    Synthetic networks are trained again, in seconds; those of images come from the weights that the sweep keeps in the
    live store. Row: dataset, measured (runs, now), without_weights (runs that have none here), needs (the command that
    gives them). Raises `BadInput` for a data set that is not in `EFFORT`.
    """
    store, rows = store or Store(), []
    for name in datasets or EFFORT:
        one_of("data set with measurements of geometry", name, EFFORT)
    for name in datasets or EFFORT:
        source, done, missing = data.load(name), 0, []
        runs = planned(name, seeds, store, source.fingerprint)
        for run in tqdm(runs, desc=name, unit="run", disable=not progress):
            have = measured([name])
            key = run.key(source.fingerprint)
            todo = [e for e in epochs_of(run) if not ((have["id"] == key) & (have["epoch"] == e)).any()]
            found = []
            for epoch, net, origin in networks(run, key, source, store, todo):
                found += [{"epoch": epoch, "id": key, "source": origin, **row} for row in probe.rows(run, epoch, net, source)]
            if found:
                new = pd.DataFrame([{**{c: getattr(run, c) for c in RUN_COLUMNS}, "commit": commit(), **row} for row in found])
                _write("", name, pd.concat([have, new[COLUMNS]], ignore_index=True))
                done += 1
            if run.epochs in todo and not any(row["epoch"] == run.epochs for row in found):
                missing.append(run)
        needs = "; ".join(f"bbatch run {name} --batch-size {r.batch_size} --seed {r.seed}" for r in missing[:1])
        rows.append({"dataset": name, "measured": done, "without_weights": len(missing), "needs": needs or None})
    return rows


SURFACES = {"synthetic-50k": (32, 512), "mnist": (32, 256, 512), "cifar10": (32, 256, 512)}  # Figs. 9 and 10; all: IV-E
WALKED = ("synthetic-50k",)  # a surface costs seconds there: drawn at every batch size measured, under each rule
PATH = (-0.5, 1.5)  # beyond both ends


def pictured(points: pd.DataFrame, dataset: str, rule: str = "linear", sizes=None) -> pd.DataFrame:
    """The rows of `surfaces` that make up the surfaces under a rule, at these batch sizes or those of the paper's
    figures."""
    return points[(points["dataset"] == dataset) & (points["kind"] == "surface") & (points["lr_rule"] == rule)
                  & points["batch_size"].isin(sizes or SURFACES.get(dataset, ()))]


def draw(datasets=None, store: Store | None = None, progress: bool = True) -> list[dict]:
    """Compute the landscapes that are missing and write them to `FOLDER`; a row for each data set: dataset, drawn.

    Of the networks of seed 42 that can be had, at the batch sizes of `SURFACES` (all that are measured, under each rule,
    of those `WALKED`): a surface on the test and, where a pass is cheap, the training loss; from B = 32 to each other
    size of `SURFACES` the path between the two; and `rescaling`.
    """
    store, rows = store or Store(), []
    for name in datasets or EFFORT:
        one_of("data set with measurements of geometry", name, EFFORT)
    for name in [name for name in datasets or EFFORT if name in SURFACES]:
        source, drawn = data.load(name), 0
        runs = [r for r in planned(name, 1, store, source.fingerprint)
                if name in WALKED or (r.batch_size in SURFACES[name] and r.lr_rule == "linear")]
        keys = {run: run.key(source.fingerprint) for run in runs}
        have = surfaces([name])
        if set(keys.values()) <= set(have["id"]) and len(rescaling([name])):
            rows.append({"dataset": name, "drawn": 0})
            continue
        nets = {run: net for run in runs for epoch, net, _ in networks(run, keys[run], source, store, [run.epochs])}
        for run, net in nets.items():
            others = {r: n for r, n in nets.items() if run.batch_size == REFERENCE != r.batch_size in SURFACES[name]
                      and (r.precision, r.lr_rule) == (run.precision, run.lr_rule)}
            if keys[run] in set(have["id"]) and {r.batch_size for r in others} <= set(have[have["id"] == keys[run]]["to_batch_size"]):
                continue
            for split in ("train", "test") if name.startswith("synthetic") else ("test",):
                have = pd.concat([have[(have["id"] != keys[run]) | (have["split"] != split)],
                                  _points(run, keys[run], net, others, split, source, progress)])
            _write("-landscape", name, have[POINT_COLUMNS])
            drawn += 1
        if name.startswith("synthetic"):
            base = next(r for r in runs if r.batch_size == REFERENCE)
            _write("-rescaled", name, _rescaled(base, keys[base], nets[base], source))
        rows.append({"dataset": name, "drawn": drawn})
    return rows


def _points(run: Run, key: str, net, others: dict, split: str, source: data.Data, progress: bool) -> pd.DataFrame:
    """The surface around one network, and the paths from it to others, on one split."""
    effort = EFFORT[run.dataset]
    x, y = samples(source, split, effort.n_landscape)
    axis = [2 * k / (effort.points - 1) - 1 for k in range(effort.points)]
    ahead = [PATH[0] + (PATH[1] - PATH[0]) * k / (effort.points - 1) for k in range(effort.points)]
    losses = landscape.landscape(net, cross_entropy, x, y, landscape.filter_directions(net), [axis, axis], progress=progress)
    parts = [pd.DataFrame({"kind": "surface", "a": [a for a in axis for _ in axis], "b": axis * len(axis),
                           "loss": losses.ravel(), "to_batch_size": 0})]
    for other, end in others.items():
        line = landscape.landscape(net, cross_entropy, x, y, landscape.toward(net, end), [ahead], progress=progress)
        parts.append(pd.DataFrame({"kind": "path", "a": ahead, "b": 0.0, "loss": line, "to_batch_size": other.batch_size}))
    return pd.concat(parts).assign(split=split, n_samples=len(y), id=key, **{c: getattr(run, c) for c in RUN_COLUMNS}).astype(
        {"a": "float32", "b": "float32", "loss": "float32"})


def _rescaled(run: Run, key: str, net, source: data.Data) -> pd.DataFrame:
    effort = EFFORT[run.dataset]
    x, y = samples(source, "train", effort.n)
    first, second = [m for m in net.modules() if isinstance(m, torch.nn.Linear)][:2]
    rows, so_far = [], 1.0
    for factor in (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0):
        sharpness.rescale(net, first, second, factor / so_far)
        so_far = factor
        for norm in sharpness.NORMS:
            found = sharpness.sharpness(net, cross_entropy, x, y, EPSILON, norm, steps=effort.steps, restarts=effort.restarts,
                                        directions=effort.directions)
            rows.append({"factor": factor, "norm": norm, "value": found.value, "n_samples": len(y), "id": key})
    return pd.DataFrame(rows).assign(**{c: getattr(run, c) for c in RUN_COLUMNS})[RESCALED_COLUMNS]


def _read(what: str, columns: list[str], datasets) -> pd.DataFrame:
    paths = [FOLDER / f"{name}{what}.parquet" for name in datasets or EFFORT]
    parts = [pd.read_parquet(path) for path in paths if path.is_file()]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _write(what: str, name: str, table: pd.DataFrame) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_whole(FOLDER / f"{name}{what}.parquet", table.to_parquet(index=False, compression="zstd"))
