"""Compute the landscapes of the paper's networks that are missing, and record them."""

import pandas as pd
import torch
from torch.nn.functional import cross_entropy

from .. import data
from ..config import Run
from ..records.store import Store
from . import landscape, measurements, sharpness
from .measurements import POINT_COLUMNS, RESCALED_COLUMNS, SURFACES
from .measuring import planned_datasets
from .networks import EFFORT, REFERENCE, Effort, at_hand, fixed_samples, networks, planned
from .one_network import EPSILON

# A surface costs seconds there: it is drawn at every batch size that is measured, under each rule.
WALKED = ("synthetic-50k",)
PATH = (-0.5, 1.5)  # beyond both ends


def draw_missing(datasets=None, store: Store | None = None, progress: bool = True) -> list[dict]:
    """Compute the landscapes that are missing and write them, one by one; returns a row for each data set.

    Row: dataset, drawn (networks).

    Drawn on the test and on the training loss, of the networks of one seed and precision that can be had, at
    the batch sizes of `SURFACES` (of those `WALKED`, all that are measured, under each rule): a surface; from
    B = 32 to each other size of `SURFACES` the path between the two; and `measurements.rescaling`.
    """
    store, rows = store or Store(), []
    for name in [name for name in planned_datasets(datasets) if name in SURFACES]:
        source = data.load(name)
        keys = {run: run.key(source.fingerprint) for run in _of_one_seed(name, store, source.fingerprint)}
        missing = _undrawn(name, keys, measurements.surfaces([name]))
        unscaled = name in WALKED and measurements.rescaling([name]).empty
        nets: dict[Run, torch.nn.Module] = {}
        if missing or unscaled:
            for run, key in keys.items():
                for _, net, _ in networks(run, key, source, store, [run.epochs]):
                    nets[run] = net
            # Weights may be there and damaged: their network cannot be had, and they are left alone.
            missing = [m for m in missing if m[0] in nets and m[2] in {None, *nets}]
        for run, split, to in missing:
            size = to.batch_size if to else 0
            x, y = fixed_samples(source, split, EFFORT[name].n_landscape)
            new = _points(EFFORT[name], nets[run], nets[to] if to else None, x, y, progress)
            new = new.assign(split=split, to_batch_size=size, id=keys[run], **measurements.of_run(run))
            table = pd.concat([measurements.surfaces([name]), new[POINT_COLUMNS]], ignore_index=True)
            measurements.write_measurements("-landscape", name, table)
        base = next((r for r in nets if r.batch_size == REFERENCE), None)
        if unscaled and base:
            measurements.write_measurements(
                "-rescaled", name, _rescaled(base, keys[base], nets[base], source)
            )
        rows.append({"dataset": name, "drawn": len({run for run, *_ in missing})})
    return rows


def _of_one_seed(name: str, store: Store, fingerprint: str) -> list[Run]:
    """The networks whose landscapes are drawn: those of the seed and precision with most of them at hand."""
    found: dict[tuple, list[Run]] = {}
    for run in planned(name, None, store, fingerprint):
        wanted = name in WALKED or (run.batch_size in SURFACES[name] and run.lr_rule == "linear")
        if wanted and at_hand(run, store, fingerprint):
            found.setdefault((run.seed, run.precision), []).append(run)
    return max(found.values(), key=len, default=[])  # the first of equals: 32 bits, the lowest seed


def _undrawn(name: str, keys: dict[Run, str], have: pd.DataFrame) -> list[tuple[Run, str, Run | None]]:
    """(run, split, None) for each surface that is missing, (run, split, other run) for each path."""
    sizes = [size for size in SURFACES[name] if size != REFERENCE]
    ends = [run for run in keys if run.lr_rule == "linear" and run.batch_size in sizes]
    done = set(zip(have["id"], have["split"], have["to_batch_size"], strict=True))
    return [
        (run, split, to)
        for run in keys
        for split in ("train", "test")
        for to in (None, *(ends if run.batch_size == REFERENCE else ()))
        if (keys[run], split, to.batch_size if to else 0) not in done
    ]


def _points(effort: Effort, net, to, x, y, progress: bool) -> pd.DataFrame:
    """The surface around a network, or the path from it `to` another."""
    low, high = (-1, 1) if to is None else PATH
    axis = [low + (high - low) * k / (effort.points - 1) for k in range(effort.points)]
    directions = landscape.filter_directions(net) if to is None else landscape.toward(net, to)
    losses = landscape.landscape(
        net, cross_entropy, x, y, directions, [axis] * len(directions), progress=progress
    )
    if to is None:
        a = [a for a in axis for _ in axis]
        found = {"kind": "surface", "a": a, "b": axis * len(axis), "loss": losses.ravel()}
    else:
        found = {"kind": "path", "a": axis, "b": 0.0, "loss": losses}
    return pd.DataFrame(found).assign(n_samples=len(y)).astype(dict.fromkeys(("a", "b", "loss"), "float32"))


def _rescaled(run: Run, key: str, net, source: data.Data) -> pd.DataFrame:
    effort = EFFORT[run.dataset]
    x, y = fixed_samples(source, "train", effort.n)
    first, second = [m for m in net.modules() if isinstance(m, torch.nn.Linear)][:2]
    rows, so_far = [], 1.0
    for factor in (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0):
        sharpness.rescale(first, second, factor / so_far)
        so_far = factor
        for norm in sharpness.NORMS:
            found = sharpness.sharpness(net, cross_entropy, x, y, EPSILON, norm, **effort.ascent)
            rows.append({"factor": factor, "norm": norm, "value": found.value})
    return pd.DataFrame(rows).assign(n_samples=len(y), id=key, **measurements.of_run(run))[RESCALED_COLUMNS]
