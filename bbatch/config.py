"""What is run: data sets, protocols and the frozen `Run` that decides a result.

Everything here comes from Tables I, II and VIII of the paper; where the paper is silent or ambiguous the
choice stands beside the value and is explained in the book ("Resolved ambiguities").
"""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Self

import numpy as np

from .errors import BadInput, one_of, positive, whole
from .models import NETWORKS, structure
from .optimizers import OPTIMIZERS

# Factor on the base learning rate, from the ratio of the batch size to its base; `linear` is Eq. (2).
LR_RULES: dict[str, Callable[[float], float]] = {
    "constant": lambda ratio: 1.0,
    "linear": lambda ratio: ratio,
    "sqrt": math.sqrt,
}
# Samples in a batch from the run's batch size, the epoch (0-based) and the number of epochs.
BATCH_SCHEDULES: dict[str, Callable[[int, int, int], int]] = {"fixed": lambda size, epoch, epochs: size}
# Factor on the learning rate from the epoch (0-based) and the number of epochs.
LR_SCHEDULES: dict[str, Callable[[int, int], float]] = {"fixed": lambda epoch, epochs: 1.0}
PRECISIONS = ("fp32", "bf16")
BASE = 32  # the batch size that others are compared with: the paper's base (Section VI), and its default


@dataclass(frozen=True)
class Protocol:
    """One column of Table II."""

    base_lr: float
    base_batch: int
    optimizer: str
    epochs: int
    batch_sizes: tuple[int, ...]
    momentum: float = 0.0
    weight_decay: float = 0.0
    warmup_epochs: int = 0
    warmup_from_batch: int = 256  # warm-up applies at and above this batch size (Section II-C, Table II)

    def rate(self, batch_size: int, rule: str = "linear") -> float:
        """The learning rate of a batch size under a rule; Eq. (2) for `linear`."""
        return self.base_lr * LR_RULES[rule](batch_size / self.base_batch)

    def warmup(self, batch_size: int) -> int:
        """Epochs of warm-up at a batch size (Table II)."""
        return self.warmup_epochs if batch_size >= self.warmup_from_batch else 0


@dataclass(frozen=True)
class DataSpec:
    """One row of Table I, with the network (Section III-B) and the protocol that belong to it."""

    title: str
    n_train: int
    n_test: int
    features: int
    classes: int
    network: str
    protocol: Protocol
    seeds: int  # runs of each configuration that this reproduction plans; the paper has one
    # Reads a data set that is not the paper's: takes whether it may download, returns a `data.Data`.
    read: Callable | None = None


# The paper lists 1-512 for the synthetic sets and 1-1024 elsewhere; 16 stands in Section I-B and in Tables
# III and IV but not in Table VII. We run it everywhere.
_SMALL = (1, 8, 16, 32, 64, 128, 256, 512)
_LARGE = _SMALL + (1024,)

_SYNTHETIC = Protocol(base_lr=0.001, base_batch=32, optimizer="adam", epochs=50, batch_sizes=_SMALL)
_MNIST = Protocol(
    base_lr=0.1,
    base_batch=256,
    optimizer="sgd",
    epochs=12,
    batch_sizes=_LARGE,
    momentum=0.9,
    weight_decay=5e-4,
    warmup_epochs=5,
)
_CIFAR10 = Protocol(base_lr=0.001, base_batch=32, optimizer="adam", epochs=50, batch_sizes=_LARGE)

DATASETS: dict[str, DataSpec] = {
    "synthetic-1k": DataSpec("Synthetic 1K", 800, 200, 20, 2, "mlp", _SYNTHETIC, 20),
    "synthetic-10k": DataSpec("Synthetic 10K", 8_000, 2_000, 20, 2, "mlp", _SYNTHETIC, 20),
    "synthetic-50k": DataSpec("Synthetic 50K", 40_000, 10_000, 20, 2, "mlp", _SYNTHETIC, 20),
    "mnist": DataSpec("MNIST", 60_000, 10_000, 784, 10, "mnist-cnn", _MNIST, 5),
    "cifar10": DataSpec("CIFAR-10", 50_000, 10_000, 3072, 10, "cifar-cnn", _CIFAR10, 5),
}
PUBLISHED = tuple(DATASETS)  # the five of the paper: what its claims are about, whatever a reader adds
SYNTHETIC = tuple(name for name in DATASETS if name.startswith("synthetic"))


@dataclass(frozen=True)
class Run:
    """Everything that decides a result, and nothing else. Two equal runs on equal data give equal bits.

    Make one with :func:`plan`, which fills in the paper's protocol.
    """

    dataset: str
    batch_size: int
    seed: int
    epochs: int
    lr_rule: str
    base_lr: float
    base_batch: int
    optimizer: str
    momentum: float
    weight_decay: float
    warmup_epochs: int  # already 0 where the batch size is below the warm-up threshold
    n_train: int  # the first n samples of the seeded order of the training set; Table I's size by default
    precision: str
    network: str | None = None  # None: the data set's own
    batch_schedule: str = "fixed"  # the paper's; others change the batch size from epoch to epoch
    lr_schedule: str = "fixed"  # the paper's; others change the rate from epoch to epoch

    def __post_init__(self):
        one_of("data set", self.dataset, DATASETS)
        one_of("network", self.network_name, NETWORKS)
        if self.network == DATASETS[self.dataset].network:
            object.__setattr__(self, "network", None)  # named or not, it is one run, and must have one key
        one_of("schedule of batch sizes", self.batch_schedule, BATCH_SCHEDULES)
        one_of("schedule of learning rates", self.lr_schedule, LR_SCHEDULES)
        one_of("learning-rate rule", self.lr_rule, LR_RULES)
        one_of("optimizer", self.optimizer, OPTIMIZERS)
        one_of("precision", self.precision, PRECISIONS)
        full = DATASETS[self.dataset].n_train
        whole("number of training samples", self.n_train, 1, full)
        whole("batch size", self.batch_size, 1, self.n_train)
        whole("base batch size", self.base_batch, 1)
        whole("number of epochs", self.epochs, 1)
        whole("seed", self.seed, 0, 2**32 - 1)
        whole("number of warm-up epochs", self.warmup_epochs, 0)
        for what in ("base_lr", "momentum", "weight_decay"):
            value = getattr(self, what)
            positive(what, value, or_zero=what != "base_lr")
            object.__setattr__(self, what, float(value))  # 1 and 1.0 are one run, and must have one key
        for epoch in range(self.epochs if self.batch_schedule != "fixed" else 0):
            what = f"batch size that schedule {self.batch_schedule!r} asks for in epoch {epoch + 1}"
            whole(what, self.batch(epoch), 1, self.n_train)

    @property
    def network_name(self) -> str:
        return self.network or DATASETS[self.dataset].network

    @property
    def lr(self) -> float:
        """Target learning rate: base_lr times the rule's factor; Eq. (2) for `linear`."""
        return self.base_lr * LR_RULES[self.lr_rule](self.batch_size / self.base_batch)

    def batch(self, epoch: int) -> int:
        """Samples in a batch of this epoch (0-based)."""
        return BATCH_SCHEDULES[self.batch_schedule](self.batch_size, epoch, self.epochs)

    def steps(self, epoch: int) -> int:
        """Steps of this epoch (0-based); the last, partial batch is used."""
        return math.ceil(self.n_train / self.batch(epoch))

    def rates(self, epoch: int) -> np.ndarray:
        """Learning rate of each step of this epoch (0-based), schedule and warm-up included, float64 [steps].

        The warm-up climbs linearly, step by step, from lr / W to lr over the W steps of the warm-up epochs:
        "near-zero to the target" (Section II-C), and never exactly 0.
        """
        factor = LR_SCHEDULES[self.lr_schedule](epoch, self.epochs)
        rates = np.full(self.steps(epoch), self.lr * factor)
        if epoch < self.warmup_epochs:
            warm = sum(self.steps(e) for e in range(self.warmup_epochs))
            before = sum(self.steps(e) for e in range(epoch))
            rates *= (before + 1 + np.arange(len(rates))) / warm
        return rates

    def follows_the_paper(self) -> bool:
        """Whether this is the paper's protocol in full, under the run's own rule and arithmetic."""
        rule, precision = self.lr_rule, self.precision
        return self == plan(self.dataset, self.batch_size, self.seed, lr_rule=rule, precision=precision)

    def as_dict(self) -> dict:
        """The fields by name, as a record keeps them. What was added since the first records is left out at
        its default, so that those keep their addresses."""
        added = {f.name: f.default for f in fields(self) if f.default is not MISSING}
        return {k: v for k, v in asdict(self).items() if k not in added or v != added[k]}

    def key(self, fingerprint: str) -> str:
        """Address of this run's record on data with this fingerprint: 16 hex digits of a sha256.

        It covers the network itself, not only its name: one that is not built as it was for the first records
        gives other addresses.
        """
        what = {"run": self.as_dict(), "data": fingerprint}
        if (built := structure(self.network_name)) is not None:
            what["network"] = built
        text = json.dumps(what, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def from_dict(cls, values: dict) -> Self:
        """The run with these fields, such as those of a record. Raises `BadInput` where one is missing."""
        needed = [f.name for f in fields(cls) if f.default is MISSING]
        if lacking := [n for n in needed if not isinstance(values, dict) or n not in values]:
            raise BadInput(f"the fields of a run lack {', '.join(lacking)}; all of them are needed.")
        # In a table, None stands for a field that only other rows have.
        return cls(**{f.name: values[f.name] for f in fields(cls) if values.get(f.name) is not None})


def plan(
    dataset: str,
    batch_size: int,
    seed: int = 42,
    *,
    epochs: int | None = None,
    lr_rule: str = "linear",
    base_lr: float | None = None,
    n_train: int | None = None,
    precision: str = "fp32",
    warmup_epochs: int | None = None,
    network: str | None = None,
    batch_schedule: str = "fixed",
    lr_schedule: str = "fixed",
) -> Run:
    """A run under the paper's protocol (Tables II and VIII), with what is given put in its place.

    Seed 42 is the paper's. Raises `BadInput` for an unknown name or a value out of range.
    """
    one_of("data set", dataset, DATASETS)
    spec, p = DATASETS[dataset], DATASETS[dataset].protocol
    whole("batch size", batch_size, 1, spec.n_train)
    usual = {k: v for k, v in vars(p).items() if k not in ("batch_sizes", "warmup_from_batch")}
    usual |= {"n_train": spec.n_train, "warmup_epochs": p.warmup(batch_size)}
    given = {"epochs": epochs, "base_lr": base_lr, "n_train": n_train, "warmup_epochs": warmup_epochs}
    return Run(
        dataset=dataset,
        batch_size=batch_size,
        seed=seed,
        lr_rule=lr_rule,
        precision=precision,
        network=network,
        batch_schedule=batch_schedule,
        lr_schedule=lr_schedule,
        **usual | {name: value for name, value in given.items() if value is not None},
    )
