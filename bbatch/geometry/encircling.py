"""The loss on circles around trained networks: what Figs. 9 and 10 show of one network, of every seed.

A surface has thousands of points and is drawn once. A circle in the same kind of plane has a few dozen, and
says how high the walls of the bowl are. Each network has a plane of its own, drawn with the seed of its run,
so that the scatter between seeds holds that between planes.
"""

import math

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from .. import data
from ..config import DATASETS, Run
from ..records.store import Store
from ..repository import commit
from . import measurements
from .landscape import filter_directions, landscape
from .measurements import CIRCLE_COLUMNS, PAIRS
from .measuring import planned_datasets
from .networks import EFFORT, fixed_samples, networks, planned

RADII = (0.0, 0.5, 1.0)  # of the surfaces, whose axes reach from -1 to 1: the centre, half way, the border
ANGLES = 24


def circle_losses(net: nn.Module, x: torch.Tensor, y: torch.Tensor, seed: int) -> np.ndarray:
    """Loss at w + r·(cos φ·d1 + sin φ·d2), float32 [ANGLES, radii], for equally spaced φ from 0 on; d1 and d2
    are filter-normalized (Algorithm 1, line 2) and drawn with `seed`."""
    first, second = filter_directions(net, 2, seed)
    turns = [2 * math.pi * k / ANGLES for k in range(ANGLES)]
    ways = (math.cos(turn) * first + math.sin(turn) * second for turn in turns)
    return np.stack([landscape(net, cross_entropy, x, y, way[None], [RADII], progress=False) for way in ways])


def encircle_missing(
    datasets=None, seeds: int | None = None, store: Store | None = None, progress: bool = True
) -> list[dict]:
    """Measure the circles that are missing of the networks that can be had, and write them network by
    network; returns a row for each data set. Row: dataset, encircled (networks, now).

    On the training and on the test loss, at the batch sizes of `measurements.PAIRS`, under each rule; of as
    many seeds as a data set is trained with, where no number is given: a network takes a second.
    """
    store, rows = store or Store(), []
    records = store.records()
    for name in (name for name in planned_datasets(datasets) if name in PAIRS):
        source = data.load(name)
        have = measurements.read_measurements("-circles", CIRCLE_COLUMNS, [name])
        wanted = planned(name, seeds or DATASETS[name].seeds, store, source.fingerprint)
        runs = [run for run in wanted if run.batch_size in PAIRS[name]]
        todo = {run: key for run in runs if (key := run.key(source.fingerprint)) not in set(have["id"])}
        done = 0
        for run, key in tqdm(todo.items(), desc=f"circles, {name}", unit="run", disable=not progress):
            for _, net, origin in networks(run, key, source, store, [run.epochs], records.get(key)):
                named = measurements.of_run(run) | {"id": key, "source": origin, "commit": commit()}
                new = _points(run, net, source).assign(**named)[CIRCLE_COLUMNS]
                have = pd.concat([part for part in (have, new) if len(part)], ignore_index=True)
                measurements.write_measurements("-circles", name, have)
                done += 1
        rows.append({"dataset": name, "encircled": done})
    return rows


def _points(run: Run, net: nn.Module, source: data.Data) -> pd.DataFrame:
    found = []
    for split in ("train", "test"):
        x, y = fixed_samples(source, split, EFFORT[run.dataset].n)
        losses = circle_losses(net, x, y, run.seed)
        at = {"radius": np.tile(RADII, ANGLES), "turn": np.repeat(np.arange(ANGLES) / ANGLES, len(RADII))}
        found.append(pd.DataFrame(at).assign(split=split, loss=losses.ravel(), n_samples=len(y)))
    return pd.concat(found).astype(dict.fromkeys(("radius", "turn", "loss"), "float32"))
