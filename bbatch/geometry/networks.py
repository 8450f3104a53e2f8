"""Which trained networks are measured, how much, and where their weights come from."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .. import data
from ..config import BASE, DATASETS, SYNTHETIC, Run, plan
from ..engines import engine_for
from ..files import unseal
from ..recipe import network_of
from ..records.store import Store

# The batch size of the one network whose gradients are drawn at every mini-batch size: the small one of
# Section IV-E, and the base of two of the three protocols.
REFERENCE = BASE


@dataclass(frozen=True)
class Effort:
    """How much is measured of one data set's networks.

    Whole sets where a pass takes milliseconds, few images where it takes minutes. Every number's row says how
    many samples it rests on.
    """

    batch_sizes: tuple[int, ...]
    rules: tuple[str, ...]
    seeds: int
    epochs: tuple[int, ...]  # where the noise scale is measured on the way, besides the first and the last
    n: int  # samples for sharpness and curvature, of each split
    steps: int  # gradients of one ascent
    restarts: int
    directions: int  # random ones
    iterations: int  # of Lanczos
    probes: int  # of Hutchinson
    mini_batches: tuple[int, ...]  # sizes for Eq. (4)
    n_noise: int  # samples for the noise scale, in mini-batches of `noise_batch`
    noise_batch: int
    points: int  # a side of the landscape; 0: none is drawn
    n_landscape: int

    @property
    def ascent(self) -> dict[str, int]:
        """How the maximum of Eq. (3) is sought: arguments of `sharpness.sharpness`."""
        return {"steps": self.steps, "restarts": self.restarts, "directions": self.directions}


_SMALL = Effort(
    batch_sizes=(8, 32, 128, 512),
    rules=("linear", "constant"),
    seeds=5,
    epochs=(1, 2, 5, 10, 20),
    n=5_000,
    steps=30,
    restarts=3,
    directions=20,
    iterations=20,
    probes=30,
    mini_batches=(1, 8, 16, 32, 64, 128, 256, 512),
    n_noise=40_000,
    noise_batch=100,
    points=51,
    n_landscape=10_000,
)
_TINY = replace(_SMALL, rules=("linear",), epochs=(5, 20), noise_batch=20, points=0, n_landscape=0)
_IMAGES = Effort(
    batch_sizes=(8, 32, 64, 128, 256, 512, 1024),
    rules=("linear",),
    seeds=3,
    epochs=(),
    n=256,
    steps=10,
    restarts=2,
    directions=10,
    iterations=10,
    probes=10,
    mini_batches=(1, 8, 32, 128, 512),
    n_noise=2_000,
    noise_batch=50,
    points=25,
    n_landscape=200,
)
EFFORT = {
    "synthetic-50k": _SMALL,
    "synthetic-10k": _TINY,
    "synthetic-1k": _TINY,
    "mnist": _IMAGES,
    "cifar10": _IMAGES,
}


def planned(dataset: str, seeds: int | None, store: Store, fingerprint: str) -> list[Run]:
    """The runs of a data set to measure: the whole plan where they can be trained again in seconds.

    Else those whose weights are in the live store, in either precision, and the reference runs, whose initial
    networks need none.
    """
    effort = EFFORT[dataset]
    runs = [
        plan(dataset, b, 42 + k, lr_rule=rule)
        for k in range(seeds or effort.seeds)
        for rule in effort.rules
        for b in effort.batch_sizes
        if rule == "linear" or b != DATASETS[dataset].protocol.base_batch  # there the rules are one
    ]
    if dataset in SYNTHETIC:
        return runs
    runs += [plan(dataset, r.batch_size, r.seed, precision="bf16") for r in runs]
    return [r for r in runs if at_hand(r, store, fingerprint) or r == plan(dataset, REFERENCE, r.seed)]


def at_hand(run: Run, store: Store, fingerprint: str) -> bool:
    """Whether the trained network of a run can be had here."""
    return run.dataset in SYNTHETIC or (store.weights / f"{run.key(fingerprint)}.pt").is_file()


def epochs_of(run: Run) -> tuple[int, ...]:
    """Where a run is measured: along the way where it can be trained again, else at its end; and the first
    network, which all runs of a seed share, once, with the reference run in 32 bits."""
    between = EFFORT[run.dataset].epochs
    shared = run.batch_size == REFERENCE and run.precision == "fp32"
    return (0, *between, run.epochs) if between or shared else (run.epochs,)


def networks(
    run: Run, key: str, source: data.Data, store: Store, epochs: list[int], record: dict | None = None
) -> Iterator[tuple[int, nn.Module, str]]:
    """(epoch, network, where its weights come from) for each of `epochs` that can be had; a network that is
    trained again is held against the run's `record`."""
    if 0 in epochs:
        yield 0, network(run, source, network_of(run).state_dict()), "initial"
    if any(epochs):
        if run.dataset in SYNTHETIC:
            yield from _trained(run, record, source, epochs)
        elif (weights := kept(store.weights / f"{key}.pt")) is not None:
            yield run.epochs, network(run, source, weights), "kept"


def _trained(
    run: Run, record: dict | None, source: data.Data, epochs: list[int]
) -> Iterator[tuple[int, nn.Module, str]]:
    engine = engine_for(run, source, "cpu")
    for epoch in range(1, run.epochs + 1):
        engine.train_epoch(epoch - 1)
        if epoch in epochs:
            origin = "retrained"
            if epoch == run.epochs:
                loss, correct = engine.evaluate(source.test_x, source.test_y)
                origin = _agreement(record, correct, loss / len(source.test_y))
            yield epoch, network(run, source, engine.weights()), origin


def _agreement(record: dict | None, correct: int, loss: float) -> str:
    if record is None:
        return "retrained, no record"
    final = record["final"]
    met = correct == final["test_correct"] and abs(loss - final["test_loss"]) <= 1e-6 * final["test_loss"]
    return "retrained" if met else "retrained, differs"


def kept(path: Path) -> dict | None:
    """The weights that the sweep kept of a run; None where there are none, or damaged ones."""
    payload = unseal(path.read_bytes()) if path.is_file() else None
    return None if payload is None else torch.load(io.BytesIO(payload), weights_only=True)


class _Prepared(nn.Module):
    """A network that takes samples as stored, images as bytes, so that a whole data set fits in memory."""

    def __init__(self, net: nn.Module, source: data.Data):
        super().__init__()
        self.net, self.source = net, source

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(self.source.inputs(x))


def network(run: Run, source: data.Data, weights: dict) -> nn.Module:
    """The run's network with these weights, in eval mode; it takes samples as `source` stores them."""
    net = network_of(run)
    net.load_state_dict(weights)
    return _Prepared(net.to(memory_format=torch.channels_last) if source.stats else net, source).eval()


def fixed_samples(source: data.Data, split: str, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first n samples of a split in a seeded order, or all."""
    x, y = (source.train_x, source.train_y) if split == "train" else (source.test_x, source.test_y)
    chosen = np.random.default_rng(0).permutation(len(y))[:n]
    return x[chosen], y[chosen]
