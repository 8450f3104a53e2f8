"""What the ways to choose a batch size are tried on: the data sets of the paper, small parts of its two sets
of images, three sets that it never touched, a text, and a regression.

A problem trains its network at a batch size and a learning rate: to decide (on the training samples less a
fifth, judged on that fifth) or to be judged (on all training samples and the test set). The sets from scikit-
learn come with it and follow the paper's protocol for its synthetic sets: that network with as many inputs
and outputs as they need, Adam, 50 epochs, the same grid of batch sizes, an 80/20 split with seed 42,
standardized features.

A grid over the whole of MNIST or CIFAR-10, ten seeds each, takes days on a CPU. `mnist-512` and `cifar10-512`
are what a CPU allows: 512 of the training images and 512 of the test images, drawn once with seed 42, the
protocol's network, optimizer, epochs, rates and warm-up, the batch sizes of its grid up to 512 (where a batch
is an epoch), bf16 arithmetic. What is best on them need not be best on the whole sets; and N decides which
branch of Algorithm 2 is taken.

All but the last two are trained by the package's trainer. `text`: the character that follows 16 others in
Python's own reference (which comes with it, in slightly other words from version to version), by a small
transformer. `friedman`: Friedman's first function of ten features with noise, scored by the share of the
variance that is explained. Both in plain PyTorch, 10 epochs of Adam.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial

import torch
from torch import nn

from .. import data, streams
from ..choosing.task import Task
from ..choosing.training import Fit, fit
from ..config import BASE, DATASETS, SYNTHETIC, Protocol, plan
from ..data import Data
from ..errors import one_of
from ..models import NETWORKS, initialized, mlp
from ..recipe import recipe_of
from ..trainer import train_network
from .other_sets import borrowed, characters, explained, friedman

BORROWED = {"digits": "Digits", "breast-cancer": "Breast cancer", "wine": "Wine"}  # from scikit-learn
# Images to train on, and to test on: the fewest that leave all but the largest batch size of the grid.
IMAGES = 512
PARTS = {f"{name}-{IMAGES}": name for name in ("mnist", "cifar10")}
PLAIN = {"text": "Text", "friedman": "Friedman #1"}  # trained in plain PyTorch, for fewer epochs
PLAIN_EPOCHS = 10
PROBLEMS = {
    **{name: spec.title for name, spec in DATASETS.items()},
    **{part: f"{DATASETS[name].title}, {IMAGES} images" for part, name in PARTS.items()},
    **BORROWED,
    **PLAIN,
}
HELD_OUT = 0.2  # of the training samples, to decide by


@dataclass(frozen=True)
class Problem:
    """A network and its data. `whole`: all training samples and the test set. `loss`: None for
    cross-entropy."""

    name: str
    whole: Data
    network: Callable[[], nn.Module]
    loss: Callable | None = None

    @cached_property
    def split(self) -> Data:
        """The training samples alone, a seeded fifth of them as the test part."""
        x, y = self.whole.train_x, self.whole.train_y
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(42))
        held = round(HELD_OUT * len(y))
        return _cut(self.whole, order[held:], x, y, order[:held])

    @property
    def protocol(self) -> Protocol:
        return protocol(self.name)

    @property
    def epochs(self) -> int:
        return self.protocol.epochs

    @property
    def base_lr(self) -> float:
        """The protocol's rate at a batch of 32."""
        return base_rate(self.name)

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The protocol's, as far as there are samples; without 1, which takes long, in plain PyTorch."""
        few = 8 if self.name in PLAIN else 1
        return tuple(b for b in self.protocol.batch_sizes if few <= b <= len(self.whole.train_y))

    def posed(self, on: Data | None = None) -> dict:
        """The problem as a reader poses it to `recommend`, in plain PyTorch (augmentation left out): of
        deciding, or on other data."""
        d = on or self.split
        return {
            "model": self.network,
            "data": ((d.inputs(d.train_x), d.train_y), (d.inputs(d.test_x), d.test_y)),
            "loss": self.loss,
            "optimizer": self.protocol.optimizer,
            "base_lr": self.base_lr,
        }

    def task(self, on: Data | None = None, metric: Callable | None = None, **more) -> Task:
        """The same as a `Task`."""
        posed = self.posed(on)
        return Task(posed["model"], *posed["data"], posed["loss"], posed["optimizer"], metric, **more)

    def train(
        self, batch_size: int, lr: float, epochs: int, seed: int, on: Data, warmup_epochs: int = 0
    ) -> Fit:
        """One training, judged on the test part of `on` after each epoch; a regression by the share of the
        variance that it explains."""
        if self.name in PLAIN:
            task = self.task(on, explained if self.loss else None)
            return fit(task, batch_size, lr, epochs, seed, warmup_epochs=warmup_epochs)
        name = SYNTHETIC[-1] if self.name in BORROWED else PARTS.get(self.name, self.name)
        rate = {"base_lr": lr, "lr_rule": "constant", "warmup_epochs": warmup_epochs}
        precision = "bf16" if self.name in PARTS else "fp32"
        run = plan(
            name, batch_size, seed, epochs=epochs, n_train=len(on.train_y), precision=precision, **rate
        )
        net = initialized(self.network(), streams.seeds_of(seed).init)
        out = train_network(net, on, recipe_of(run))
        n, h, end = len(on.test_y), out.history, out.final
        trained, tested = 100 * end["train_correct"] / run.n_train, 100 * end["test_correct"] / n
        took, diverged = (sum(h["seconds"]), sum(h["cpu_seconds"])), end["diverged_epoch"] is not None
        curves = tuple(100 * c / n for c in h["test_correct"]), tuple(h["test_loss"])
        how = batch_size, lr, warmup_epochs, epochs, seed
        return Fit(*how, trained, tested, end["test_loss"], *took, True, diverged, *curves)


def protocol(name: str) -> Protocol:
    """The column of Table II that a problem follows; the synthetic one where the paper has none."""
    p = DATASETS[PARTS.get(name, name if name in DATASETS else SYNTHETIC[-1])].protocol
    return replace(p, epochs=PLAIN_EPOCHS) if name in PLAIN else p


def base_rate(name: str) -> float:
    """The rate at a batch of 32 that a problem's protocol has, Eq. (2) applied."""
    return protocol(name).rate(BASE)


@cache
def problem(name: str) -> Problem:
    """The named one of `PROBLEMS`. Raises `BadInput` for another name, `DataMissing` without files."""
    one_of("problem", name, PROBLEMS)
    if name == "text":
        return Problem(name, *characters())
    if name == "friedman":
        return Problem(name, friedman(), partial(mlp, 10, 1), nn.functional.mse_loss)
    if name in BORROWED:
        whole = borrowed(name)
        return Problem(name, whole, partial(mlp, whole.train_x.shape[1], int(whole.train_y.max()) + 1))
    source = PARTS.get(name, name)
    whole = data.load(source)
    return Problem(name, _part(whole) if name in PARTS else whole, NETWORKS[DATASETS[source].network])


def _part(whole: Data) -> Data:
    """`IMAGES` of the training and of the test images, drawn with seed 42."""
    generator = torch.Generator().manual_seed(42)
    train, test = (
        torch.randperm(len(y), generator=generator)[:IMAGES] for y in (whole.train_y, whole.test_y)
    )
    return _cut(whole, train, whole.test_x, whole.test_y, test)


def _cut(whole: Data, kept: torch.Tensor, x: torch.Tensor, y: torch.Tensor, held: torch.Tensor) -> Data:
    """The training samples of the numbers `kept`; as the test set those of `x`, `y` of the numbers `held`."""
    train = {"train_x": whole.train_x[kept], "train_y": whole.train_y[kept]}
    return replace(whole, **train, test_x=x[held], test_y=y[held])
