"""What closes the gap of a large batch? Treatments ("arms"), each at its own best rate, at three batch sizes.

An arm is the plain training of a data set with something changed. Each is tried at rates an octave apart,
over the same seeds; a fifth of the samples is held out, on which its rate is chosen, and the test set judges.

**Few epochs, on purpose.** After the paper's fifty, a tuned rate leaves no gap up to B = 1024 on Synthetic
50K (study `map-synthetic-50k`), and nothing is left to close. Four epochs leave one.
"""

import math
from dataclasses import dataclass, field, replace

from .. import beyond  # noqa: F401 (the arms use the optimizers, networks and schedules that it adds)
from ..config import BASE, Run, plan
from .batch_and_rate import SHARE
from .equal_steps import of_equal_steps
from .trial import AVERAGES, Trial

LARGE = (256, 1024)
PLAIN = "plain"
FEW = 5  # seeds of the arms that train longest; the others have twice as many
PATIENCE = 10  # epochs without a lower held-out loss, of early stopping


@dataclass(frozen=True)
class Setting:
    """What is common to all arms of a study. `samples`: of the training samples, held-out ones among them.
    `rates`: for each optimizer, the rate at B = 32 around which is searched, and the power of B with which
    it is moved for larger batches (from short first trials with one seed). `wider`: the rates tried about
    it, in octaves, by an arm's name, where the best of the usual ones was the lowest or the highest.
    `seeds`: at most."""

    dataset: str
    samples: int
    seeds: int
    epochs: int
    optimizer: str
    rates: dict[str, tuple[float, float]]
    wider: dict[str, tuple[int, int]]
    normalized: str = ""  # network with batch normalization, where one is tried
    ghosts: str = ""  # the same with ghost batch normalization


def _both(first: int, last: int, *names: str) -> dict[str, tuple[int, int]]:
    """The same octaves for these arms at the large batches and at B = 32."""
    return {arm: (first, last) for name in names for arm in (name, f"{name} at {BASE}")}


_IMAGES = {"adam": (0.001, 0.5), "adamw": (0.001, 0.5), "lamb": (0.002, 0.5), "muon": (0.002, 0.5)}
SETTINGS = {
    "synthetic-50k": Setting(
        dataset="synthetic-50k",
        samples=40_000,
        seeds=10,
        epochs=4,
        optimizer="adam",
        normalized="mlp-batch-norm",
        ghosts="mlp-ghost-norm",
        rates={
            "adam": (0.002, 0.5),
            "adamw": (0.002, 0.6),
            "sgd": (0.04, 0.7),
            "lamb": (0.005, 0.3),
            "muon": (0.008, 0.4),
        },
        wider=_both(-2, 2, "AdamW", "SGD", "LAMB", "Muon")
        | {"Muon at 32": (-3, 2), "SGD, rate decays": (-2, 4), "SGD, batch grows": (-2, 4)}
        | dict.fromkeys(("batch norm, averages anew", "ghost batch norm, averages anew"), (-2, 2)),
    ),
    # four epochs, as on the synthetic set: on CPUs, for CIFAR-10 as well
    "mnist": Setting(
        dataset="mnist",
        samples=10_000,
        seeds=3,
        epochs=4,
        optimizer="sgd",
        rates=_IMAGES | {"sgd": (0.0125, 0.5)},
        wider=_both(-1, 4, "LAMB")
        | dict.fromkeys(("Adam", "AdamW", "Muon", "Muon at 32"), (-2, 1))
        | {"Adam at 32": (-1, 2), "warm-up": (-4, 4)},
    ),
    "cifar10": Setting(
        dataset="cifar10",
        samples=10_000,
        seeds=3,
        epochs=4,
        optimizer="adam",
        normalized="resnet-8-batch-norm",
        ghosts="resnet-8-ghost-norm",
        rates=_IMAGES | {"sgd": (0.0125, 1.0)},
        wider=_both(-1, 3, "LAMB")
        | _both(-1, 2, "AdamW")
        | {"Muon": (-3, 1), "Muon at 32": (-2, 1)}
        | {"SGD": (-3, 1), "SGD at 32": (-1, 2), "SGD, batch grows": (-2, 4)}
        | dict.fromkeys(("batch norm, averages anew", "ghost batch norm, averages anew"), (-2, 1))
        | {"resnet-8-group-norm": (-4, 2)},
    ),
}

# All images, and on CIFAR-10 the paper's epochs: for a GPU. Page 16 says what they would take.
SETTINGS |= {
    "mnist-full": replace(SETTINGS["mnist"], samples=60_000),
    "cifar10-full": replace(SETTINGS["cifar10"], samples=50_000, epochs=50),
}


@dataclass(frozen=True)
class Arm:
    """One treatment. `changes`: the fields of `Run` that it changes. `octaves`: the rates tried, in octaves
    about the setting's; `power`: of B, where it is not the setting's. `equal_steps`: as many steps as B = 32
    makes; with `patience`, at most so many. `averages`: of batch normalization, see `Trial`."""

    sizes: tuple[int, ...] = LARGE
    changes: dict = field(default_factory=dict)
    octaves: tuple[int, int] = (-2, 2)
    power: float | None = None
    equal_steps: bool = False
    patience: int | None = None
    averages: str = AVERAGES[0]
    seeds: int = 10


def remedies_of(setting: str) -> dict[str, Arm]:
    """The arms that treat the data set's own optimizer, by name; the plain one is tried over so wide a range
    that the rules of the learning rate can be read from it."""
    s = SETTINGS[setting]
    arms = {
        f"{PLAIN} at {BASE}": Arm((BASE,)),
        PLAIN: Arm(octaves=(-4, 5)),
        "warm-up": Arm(changes={"warmup_epochs": s.epochs // 4}, octaves=(-2, 4)),
        "growing": Arm(changes={"batch_schedule": "growing"}, power=0.25),
        "equal steps": Arm(power=0.25, equal_steps=True, seeds=FEW),
        "early stopping": Arm(octaves=(-1, 2), power=0.25, equal_steps=True, patience=PATIENCE, seeds=FEW),
    }
    of_sgd = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.0}
    arms["SGD, rate decays"] = Arm((256,), of_sgd | {"lr_schedule": "decaying"}, seeds=FEW)
    arms["SGD, batch grows"] = Arm((4096,), of_sgd | {"batch_schedule": "growing"}, power=0.3, seeds=FEW)
    if s.normalized:
        arms["batch norm"] = Arm(changes={"network": s.normalized}, seeds=FEW)
        arms["ghost batch norm"] = Arm(changes={"network": s.ghosts}, seeds=FEW)
        precise = {"octaves": (-1, 1), "seeds": FEW, "averages": "precise"}
        arms["batch norm, averages anew"] = Arm(changes={"network": s.normalized}, **precise)
        arms["ghost batch norm, averages anew"] = Arm(changes={"network": s.ghosts}, **precise)
    return _widened(arms, s)


def _widened(arms: dict[str, Arm], setting: Setting) -> dict[str, Arm]:
    return {name: replace(arm, octaves=setting.wider.get(name, arm.octaves)) for name, arm in arms.items()}


def _and_at_base(arms: dict[str, Arm]) -> dict[str, Arm]:
    """These arms, and each at B = 32 alone after what trains fast."""
    return arms | {f"{name} at {BASE}": replace(arm, sizes=(BASE,)) for name, arm in arms.items()}


_OTHERS = {
    "Adam": {"optimizer": "adam", "momentum": 0.0, "weight_decay": 0.0},
    "SGD": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.0},
    "AdamW": {"optimizer": "adamw", "momentum": 0.0, "weight_decay": 0.01},
    "LAMB": {"optimizer": "lamb", "momentum": 0.0, "weight_decay": 0.01},
    "Muon": {"optimizer": "muon", "momentum": 0.95, "weight_decay": 0.01},
}


def optimizers_of(setting: str) -> dict[str, Arm]:
    """The arms that take another optimizer than the data set's own, at B = 32 and at the large batches."""
    arms = {}
    for name, how in _OTHERS.items():
        if how["optimizer"] != SETTINGS[setting].optimizer:
            arms[name] = Arm(changes=how, octaves=(-1, 1), seeds=FEW)
    return _widened(_and_at_base(arms), SETTINGS[setting])


def architectures_of(setting: str) -> dict[str, Arm]:
    """The arms that take another network, by its name: where does accuracy break down, and which rate is
    best? On the synthetic set batches that are larger than those of the remedies, whose rows go before."""
    dataset = SETTINGS[setting].dataset
    if dataset == "synthetic-50k":
        larger = Arm((2048, 4096, 8192), octaves=(-2, 3), seeds=FEW)
        arms = {name: replace(larger, changes={"network": name}) for name in ("mlp", "mlp-batch-norm")}
        at_base = Arm((BASE,), {"network": "mlp-batch-norm"}, octaves=(-1, 1), seeds=FEW)
        return arms | {f"mlp-batch-norm at {BASE}": at_base}
    names = ("resnet-8-batch-norm", "resnet-8-group-norm", "small-vit") if dataset == "cifar10" else ()
    arms = {name: Arm((*LARGE, 4096), {"network": name}, seeds=2) for name in names}
    return _widened(_and_at_base(arms), SETTINGS[setting])


def arm_trials(setting: str, arm: Arm, precision: str = "fp32") -> list[Trial]:
    """All sizes, rates and seeds of one arm, the largest batches first."""
    s = SETTINGS[setting]
    held_out = round(SHARE * s.samples)
    how = {"lr_rule": "constant", "warmup_epochs": 0, "precision": precision}
    plain = plan(s.dataset, BASE, epochs=s.epochs, n_train=s.samples - held_out, **how)
    start, power = s.rates[arm.changes.get("optimizer", s.optimizer)]
    power = power if arm.power is None else arm.power
    first, last = arm.octaves
    found = []
    for b in sorted(arm.sizes, reverse=True):
        middle = start * 2.0 ** round(power * math.log2(b / BASE))
        for k in range(first, last + 1):
            for seed in range(42, 42 + min(arm.seeds, s.seeds)):
                run = replace(plain, batch_size=b, base_lr=middle * 2.0**k, seed=seed)
                found.append(
                    Trial(_changed(run, arm), held_out, patience=arm.patience, averages=arm.averages)
                )
    return found


def _changed(run: Run, arm: Arm) -> Run:
    """The run with the arm's changes; steps are made equal before them."""
    return replace(of_equal_steps(run) if arm.equal_steps else run, **arm.changes)


def study_trials(arms, setting: str, precision: str = "fp32") -> list[Trial]:
    """The trials of all arms that `arms(setting)` gives."""
    return [trial for arm in arms(setting).values() for trial in arm_trials(setting, arm, precision)]
