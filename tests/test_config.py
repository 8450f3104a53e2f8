"""Protocols, learning rates, refusals and the stability of keys."""

import copy
import dataclasses
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bbatch import config, models
from bbatch.beyond.ghost import GhostBatchNorm2d
from bbatch.config import DATASETS, SYNTHETIC, Run, plan
from bbatch.errors import BadInput
from bbatch.models import Dropout
from bbatch.profiles import grid

# Table II, column by column
TABLE_II = {name: (0.001, 32, "adam", 50, 0.0, 0.0) for name in (*SYNTHETIC, "cifar10")} | {
    "mnist": (0.1, 256, "sgd", 12, 0.9, 5e-4)
}


@pytest.mark.parametrize("name", DATASETS)
def test_table_ii(name):
    run = plan(name, 32)
    assert (
        run.base_lr,
        run.base_batch,
        run.optimizer,
        run.epochs,
        run.momentum,
        run.weight_decay,
    ) == TABLE_II[name]
    sizes = DATASETS[name].protocol.batch_sizes
    assert (sizes[0], sizes[-1]) == (1, 512 if name in SYNTHETIC else 1024) and 16 in sizes
    for batch in sizes:  # warm-up: MNIST from 256 alone
        assert plan(name, batch).warmup_epochs == (5 if name == "mnist" and batch >= 256 else 0)


def test_table_viii():
    run = plan("mnist", 32)
    assert (run.seed, run.precision, run.lr_rule) == (42, "fp32", "linear")


@pytest.mark.parametrize(
    "name, row",
    [
        ("synthetic-1k", (800, 200, 20, 2)),
        ("synthetic-10k", (8_000, 2_000, 20, 2)),
        ("synthetic-50k", (40_000, 10_000, 20, 2)),
        ("mnist", (60_000, 10_000, 784, 10)),
        ("cifar10", (50_000, 10_000, 3072, 10)),
    ],
)
def test_table_i(name, row):
    spec = DATASETS[name]
    assert (spec.n_train, spec.n_test, spec.features, spec.classes) == row
    assert plan(name, 1).n_train == row[0]


def test_learning_rate_rules():
    assert plan("cifar10", 1024).lr == pytest.approx(0.032)  # Eq. (2): 0.001 * 1024 / 32
    assert plan("cifar10", 1024, lr_rule="constant").lr == 0.001
    assert plan("cifar10", 1024, lr_rule="sqrt").lr == pytest.approx(0.001 * 32**0.5)
    assert plan("mnist", 1).lr == pytest.approx(0.1 / 256)
    for rule in ("constant", "linear", "sqrt"):
        assert plan("mnist", 256, lr_rule=rule).lr == 0.1


def test_warm_up_climbs_over_five_epochs_and_stays():
    run = plan("mnist", 512)
    steps = -(-60_000 // 512)
    assert run.steps(0) == steps == 118
    rates = np.concatenate([run.rates(epoch) for epoch in range(run.epochs)])
    assert len(rates) == 12 * steps and rates[0] == pytest.approx(0.2 / (5 * steps)) and rates[0] > 0
    assert rates[5 * steps // 2 - 1] == pytest.approx(0.1)
    assert rates[5 * steps - 2] < 0.2
    assert set(rates[5 * steps - 1 :]) == {run.lr} and run.lr == pytest.approx(0.2)
    assert np.diff(rates[: 5 * steps]) == pytest.approx(0.2 / (5 * steps))
    assert {rate for e in range(12) for rate in plan("mnist", 128).rates(e)} == {plan("mnist", 128).lr}


def test_a_schedule_of_batch_sizes_decides_steps_and_warm_up(monkeypatch):
    monkeypatch.setitem(config.BATCH_SCHEDULES, "doubling", lambda b, epoch, epochs: b * 2**epoch)
    run = plan("synthetic-1k", 200, epochs=3, batch_schedule="doubling", warmup_epochs=2)
    assert [run.batch(e) for e in range(3)] == [200, 400, 800]
    assert [run.steps(e) for e in range(3)] == [4, 2, 1]
    climb = [run.lr * k / 6 for k in range(1, 7)]
    assert [*run.rates(0), *run.rates(1), *run.rates(2)] == pytest.approx([*climb, run.lr])


def test_a_schedule_of_rates_is_a_factor_for_each_epoch(monkeypatch):
    monkeypatch.setitem(config.LR_SCHEDULES, "halving", lambda epoch, epochs: 0.5 ** (epoch + 3 - epochs))
    run = plan("synthetic-1k", 400, epochs=3, lr_schedule="halving", warmup_epochs=1)
    rates = np.concatenate([run.rates(epoch) for epoch in range(3)])
    assert rates == pytest.approx([run.lr * f for f in (0.5, 1, 0.5, 0.5, 0.25, 0.25)])


def test_a_schedule_that_asks_for_more_than_there_is_is_refused(monkeypatch):
    monkeypatch.setitem(config.BATCH_SCHEDULES, "doubling", lambda b, epoch, epochs: b * 2**epoch)
    said = "batch size that schedule 'doubling' asks for in epoch 3 is 1200; .* from 1 to 800"
    with pytest.raises(BadInput, match=said):
        plan("synthetic-1k", 300, epochs=3, batch_schedule="doubling")
    monkeypatch.setitem(config.BATCH_SCHEDULES, "half", lambda b, epoch, epochs: b / 2)
    with pytest.raises(BadInput, match="epoch 1 is 150.0; it must be a whole number"):
        plan("synthetic-1k", 300, epochs=3, batch_schedule="half")


@pytest.mark.parametrize("n, batch, steps", [(800, 1, 800), (800, 512, 2), (800, 800, 1), (7, 3, 3)])
def test_the_last_partial_batch_counts(n, batch, steps):
    assert plan("synthetic-1k", batch, n_train=n).steps(0) == steps


REFUSED = {
    "batch size is 0;": lambda: plan("mnist", 0),
    "batch size is -1;": lambda: plan("mnist", -1),
    "from 1 to 800": lambda: plan("synthetic-1k", 801),
    "from 1 to 500": lambda: plan("synthetic-1k", 512, n_train=500),
    "batch size is 2.0;": lambda: plan("mnist", 2.0),
    "batch size is True;": lambda: plan("mnist", True),
    "batch size is '32';": lambda: plan("mnist", "32"),
    "data set 'imagenet' is unknown; allowed are synthetic-1k": lambda: plan("imagenet", 32),
    "learning-rate rule 'cubic' is unknown; allowed are constant, linear, sqrt": lambda: plan(
        "mnist", 32, lr_rule="cubic"
    ),
    "precision 'fp8' is unknown; allowed are fp32, bf16": lambda: plan("mnist", 32, precision="fp8"),
    "base_lr is -0.1;": lambda: plan("mnist", 32, base_lr=-0.1),
    "base_lr is 0; it must be a finite number above 0": lambda: plan("mnist", 32, base_lr=0),
    "base_lr is nan;": lambda: plan("mnist", 32, base_lr=float("nan")),
    "base_lr is inf;": lambda: plan("mnist", 32, base_lr=float("inf")),
    "base_lr is 'fast';": lambda: plan("mnist", 32, base_lr="fast"),
    "base_lr is True;": lambda: plan("mnist", 32, base_lr=True),
    "number of epochs is 0;": lambda: plan("mnist", 32, epochs=0),
    "seed is -1;": lambda: plan("mnist", 32, -1),
    "seed is 4294967296;": lambda: plan("mnist", 32, 2**32),
    "seed is None;": lambda: plan("mnist", 32, None),
    "number of training samples is 0;": lambda: plan("synthetic-1k", 1, n_train=0),
    "number of training samples is 801;": lambda: plan("synthetic-1k", 1, n_train=801),
    "optimizer 'lion' is unknown; allowed are adam, sgd": lambda: replace(
        plan("mnist", 32), optimizer="lion"
    ),
    "momentum is -1;": lambda: replace(plan("mnist", 32), momentum=-1),
    "weight_decay is -0.5;": lambda: replace(plan("mnist", 32), weight_decay=-0.5),
    "base batch size is 0;": lambda: replace(plan("mnist", 32), base_batch=0),
    "number of warm-up epochs is -1;": lambda: replace(plan("mnist", 32), warmup_epochs=-1),
    "profile 'huge' is unknown; allowed are smoke, quick, paper": lambda: grid(["mnist"], "huge"),
    "data set 'nope' is unknown": lambda: grid(["nope"]),
    "number of seeds is 0;": lambda: grid(["mnist"], seeds=0),
}


@pytest.mark.parametrize("words", REFUSED)
def test_bad_input_is_refused_in_one_sentence(words):
    with pytest.raises(BadInput, match=re.escape(words)) as refusal:
        REFUSED[words]()
    message = str(refusal.value)
    assert message.endswith(".") and "\n" not in message and len(re.findall(r"\.(?:\s|$)", message)) == 1


def test_a_run_has_one_key():
    run = plan("mnist", 256, 7)
    assert run.key("f") == plan("mnist", 256, 7).key("f") == Run.from_dict(run.as_dict()).key("f")
    assert re.fullmatch("[0-9a-f]{16}", run.key("f"))
    assert run.key("f") != run.key("g")  # other data, other record
    # written down, so that a change which orphans every committed record cannot pass unseen
    assert run.key("f") == "f29f9ba4d100ec14"


def test_the_key_covers_the_network_itself(monkeypatch):
    """The same name for another network gives another address; the first record is not taken for the new
    one's."""
    run = plan("synthetic-1k", 32)
    first = run.key("f")
    for change in (lambda net: nn.Tanh(), lambda net: Dropout(0.3, (64,))):
        net = models.mlp()
        position = 1 if isinstance(change(net), nn.Tanh) else 2
        net[position] = change(net)
        with monkeypatch.context() as patch:
            patch.setitem(models.NETWORKS, "mlp", lambda net=net: copy.deepcopy(net))
            assert run.key("f") != first
    assert run.key("f") == first


@pytest.fixture
def built_anew():
    """Forgets what networks were built before, and what the test built."""
    models._digest.cache_clear()
    yield models._digest.cache_clear
    models._digest.cache_clear()


def test_no_version_of_the_library_and_no_processor_changes_what_the_key_says_of_the_network(
    monkeypatch, built_anew
):
    """PyTorch came to print `bias=True` for a normalization, and draws normal numbers with other last digits
    where it has other instructions."""
    names = ("resnet-8-batch-norm", "resnet-8-group-norm", "small-vit")
    before = [models.structure(name) for name in names]
    assert None not in before and len(set(before)) == 3
    for kind in (nn.BatchNorm2d, nn.GroupNorm):
        monkeypatch.setattr(kind, "extra_repr", lambda layer: "other words")
    drawn = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *shape: drawn(*shape) * (1 + 3e-7))
    built_anew()
    assert [models.structure(name) for name in names] == before
    monkeypatch.setattr(torch, "randn", lambda *shape: drawn(*shape) * 1.05)
    built_anew()
    again = [models.structure(name) for name in names]
    assert again[:2] == before[:2] and again[2] != before[2]


@pytest.mark.parametrize(
    "other",
    [
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4, eps=1e-3)),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4, momentum=0.2)),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.GroupNorm(2, 4)),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=0), nn.BatchNorm2d(4)),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, stride=2), nn.BatchNorm2d(4)),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), GhostBatchNorm2d(4)),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()),
    ],
)
def test_the_key_covers_what_a_layer_is_set_to(monkeypatch, other):
    monkeypatch.setitem(
        models.NETWORKS, "a", lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))
    )
    monkeypatch.setitem(models.NETWORKS, "b", other)
    assert models.structure("a") != models.structure("b")


class Scaled(nn.Module):
    """A layer of someone else's, which says how it is set."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def extra_repr(self):
        return f"factor={self.factor}"


def test_the_key_covers_what_another_layer_says_of_itself(monkeypatch):
    for name, factor in (("a", 1.0), ("b", 1.0), ("c", 2.0)):
        monkeypatch.setitem(
            models.NETWORKS, name, lambda factor=factor: nn.Sequential(nn.Linear(4, 2), Scaled(factor))
        )
    a, b, c = map(models.structure, "abc")
    assert a == b != c


def test_the_key_covers_the_size_of_ghost_batches(monkeypatch, built_anew):
    before = models.structure("resnet-8-ghost-norm")
    monkeypatch.setattr(GhostBatchNorm2d, "least_batch", 64)
    built_anew()
    assert models.structure("resnet-8-ghost-norm") != before


def test_equal_runs_have_equal_keys():
    whole, real = (replace(plan("mnist", 32), base_lr=v, momentum=w) for v, w in ((1, 0), (1.0, 0.0)))
    assert whole == real and whole.key("f") == real.key("f")


def test_every_field_changes_the_key(monkeypatch):
    run = plan("synthetic-1k", 32)
    other = {
        "dataset": "synthetic-10k",
        "batch_size": 64,
        "seed": 43,
        "epochs": 51,
        "lr_rule": "sqrt",
        "base_lr": 0.002,
        "base_batch": 64,
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 0.1,
        "warmup_epochs": 1,
        "n_train": 799,
        "precision": "bf16",
        "network": "mnist-cnn",
        "batch_schedule": "half",
        "lr_schedule": "halving",
    }
    monkeypatch.setitem(config.LR_SCHEDULES, "halving", lambda epoch, epochs: 0.5**epoch)
    monkeypatch.setitem(config.BATCH_SCHEDULES, "half", lambda batch_size, epoch, epochs: batch_size // 2)
    assert set(other) == {f.name for f in dataclasses.fields(Run)}
    keys = {run.key("f")} | {replace(run, **{name: value}).key("f") for name, value in other.items()}
    assert len(keys) == 1 + len(other)


def test_grids():
    runs = grid(["synthetic-1k", "mnist"], "paper", seeds=2)
    assert len(runs) == len(set(runs)) == 2 * (8 + 9)
    assert {r.seed for r in runs} == {42, 43}
    assert {r.epochs for r in runs if r.dataset == "mnist"} == {12}
    assert len(grid(["synthetic-50k"])) == 8 * DATASETS["synthetic-50k"].seeds == 160
    for name in DATASETS:
        for run in grid([name], "smoke"):
            assert run.epochs == 1 and run.n_train == 256 and run.batch_size <= 256
    quick = grid(["synthetic-1k"], "quick")  # a profile larger than the data set takes all of it
    assert {r.n_train for r in quick} == {800} and {r.batch_size for r in quick} == {8, 32, 128, 512}
    assert {r.lr_rule for r in grid(["mnist"], "smoke", lr_rule="sqrt")} == {"sqrt"}


def test_a_data_sets_own_network_may_be_named():
    named = plan("mnist", 32, network="mnist-cnn")
    assert named == plan("mnist", 32) and named.key("f") == plan("mnist", 32).key("f")


def test_the_warm_up_of_a_batch_size_is_that_of_table_ii():
    assert [config.DATASETS["mnist"].protocol.warmup(b) for b in (1, 255, 256, 1024)] == [0, 0, 5, 5]
    for name, spec in config.DATASETS.items():
        for b in spec.protocol.batch_sizes:
            assert config.plan(name, b).warmup_epochs == (5 if name == "mnist" and b >= 256 else 0)
