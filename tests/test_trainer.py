"""The trainer against a plain loop (reference.py), against itself, and against interruption.

Two correct programs that round differently drift apart: after 50 steps of a convolutional network at the
paper's rates, float32 noise of 1e-7 has grown to 1e-3 and more (a ReLU or an Adam step near zero takes the
other sign). So agreement at those rates is shown in float64, where only a difference of substance could reach
1e-5; in float32 it is shown wherever rounding does not grow: everywhere for the synthetic network, at B = 1
and in the first steps for the convolutional ones.
"""

import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import reference
from bbatch import config, data, engines, files, models, streams, trainer
from bbatch.engines import eager
from bbatch.engines.compiled import CompiledEngine
from bbatch.engines.eager import TorchEngine
from factories import engine_of, reference_epochs, state_after_one_epoch, tiny

OPTIMIZERS = {
    "adam": {"optimizer": "adam", "momentum": 0.0, "weight_decay": 0.0, "base_lr": 0.001, "base_batch": 32},
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 5e-4, "base_lr": 0.1, "base_batch": 256},
}
TOLERANCE = 1e-5  # in every parameter


class Float64Engine(TorchEngine):
    """The engine in double precision: its epochs, pieces, masks and optimizer untouched."""

    def __init__(self, network, dataset, recipe, device):
        super().__init__(network.double(), dataset, recipe, device)

    def _logits(self, x):
        return self.net(reference.normalize(x.permute(0, 3, 1, 2), *self.data.stats, torch.float64))


def make_run(dataset, batch, optimizer="adam", n_train=600, epochs=1, warmup_epochs=0, seed=3):
    run = config.plan(dataset, batch, seed, epochs=epochs, n_train=n_train)
    return replace(run, **OPTIMIZERS[optimizer], warmup_epochs=warmup_epochs)


def assert_agreement(kind, run, dataset, dropout=True):
    """Train with an engine and with the plain loop from the same weights; compare parameters, losses and
    counts."""
    ours = engine_of(kind, run, dataset, "cpu")
    start = list(ours.weights().values())
    dtype = start[0].dtype
    net = reference.network(run.dataset, start).to(dtype)
    if not dropout:
        for layer in ours.dropouts:
            layer.p = 0.0
    if run.optimizer == "adam":
        optimizer = torch.optim.Adam(net.parameters())
    else:
        optimizer = torch.optim.SGD(net.parameters(), momentum=run.momentum, weight_decay=run.weight_decay)
    warm = run.warmup_epochs * math.ceil(run.n_train / run.batch_size)
    expected = reference.train(
        net,
        optimizer,
        lambda step: reference.learning_rate(run.base_lr, run.base_batch, run.batch_size, step, warm),
        run.batch_size,
        reference_epochs(run, dataset, dropout, dtype),
    )
    for epoch, (loss, right) in enumerate(expected):
        assert ours.train_epoch(epoch) == (pytest.approx(loss, rel=1e-4), right)
    far = [(a - b).abs().max().item() for a, b in zip(net.parameters(), ours.weights().values(), strict=True)]
    # of weights: two output biases of balanced classes pull against each other and may hardly move
    moved = [(a - b).abs().max().item() for a, b in zip(net.parameters(), start, strict=True) if a.dim() > 1]
    assert max(far) < TOLERANCE
    assert min(moved) > 10 * TOLERANCE, "a test that nothing moves in shows nothing"


# B = 1; B = 40 with a last batch of 30 and, beyond 32, gradients summed over pieces; B = 256 with warm-up
SYNTHETIC_CASES = [(1, 25, 2, 0), (40, 150, 13, 0), (256, 600, 17, 3)]


@pytest.mark.parametrize("dropout", [True, False], ids=["dropout", "plain"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch, n, epochs, warmup", SYNTHETIC_CASES)
def test_synthetic_network_agrees_with_the_plain_loop(batch, n, epochs, warmup, optimizer, dropout):
    run = make_run("synthetic-1k", batch, optimizer, n, epochs, warmup)
    assert run.steps(0) * epochs >= 50
    assert_agreement(TorchEngine, run, tiny("synthetic-1k"), dropout)


@pytest.mark.parametrize("dropout", [True, False], ids=["dropout", "plain"])
@pytest.mark.parametrize("batch, n, epochs", [(1, 25, 2), (3, 100, 2), (40, 150, 13), (256, 600, 17)])
def test_compiled_engine_agrees_with_the_plain_loop(batch, n, epochs, dropout):
    assert_agreement(
        CompiledEngine, make_run("synthetic-1k", batch, "adam", n, epochs), tiny("synthetic-1k"), dropout
    )


@pytest.mark.parametrize("dataset, dropout", [("mnist", True), ("mnist", False), ("cifar10", True)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_convolutional_network_agrees_at_batch_size_1(dataset, optimizer, dropout):
    """With one of three seeds: rounding, which differs between processors, now and then turns the sign of an
    activation near zero, and its gradient then goes another way. That is chance; a fault shows with every
    seed."""
    for seed in (3, 4, 5):
        try:
            run = make_run(dataset, 1, optimizer, n_train=25, epochs=2, seed=seed)
            return assert_agreement(TorchEngine, run, tiny(dataset, 60, 10), dropout)
        except AssertionError as error:
            apart = error
    raise apart


@pytest.mark.slow
@pytest.mark.parametrize("dataset, dropout", [("mnist", True), ("mnist", False), ("cifar10", True)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_convolutional_network_agrees_in_pieces(dataset, optimizer, dropout, monkeypatch):
    """51 steps at the paper's rates in float64: batches of 4, 4 and 2 in pieces of 3."""
    monkeypatch.setitem(eager.PIECE, "cpu", 3)
    run = make_run(dataset, 4, optimizer, n_train=10, epochs=17)
    assert_agreement(Float64Engine, run, tiny(dataset, 60, 10), dropout)


@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_convolutional_network_agrees_in_float32_pieces(dataset):
    """The first three steps of SGD at the paper's rate: batches of 40, 40 and 10 in pieces of 32."""
    assert_agreement(TorchEngine, make_run(dataset, 40, "sgd", n_train=90), tiny(dataset, 120, 10))


def same(a, b):
    """Bit-identical outcomes, clocks apart."""
    timing = {"seconds", "cpu_seconds", "evaluate_seconds"}
    assert {k: v for k, v in a.history.items() if k not in timing} == {
        k: v for k, v in b.history.items() if k not in timing
    }
    assert a.final == b.final and a.engine == b.engine
    assert a.weights.keys() == b.weights.keys()
    assert all(torch.equal(a.weights[k], b.weights[k]) for k in a.weights)


def different(a, b):
    return any(not torch.equal(a.weights[k], b.weights[k]) for k in a.weights)


ENGINE_CASES = [
    ("synthetic-1k", "adam", 16, 600, 4, "compiled"),
    ("synthetic-1k", "sgd", 40, 600, 4, "torch"),
    ("mnist", "sgd", 40, 50, 3, "torch"),
    ("cifar10", "adam", 40, 50, 3, "torch"),
]


@pytest.mark.parametrize("dataset, optimizer, batch, n, epochs, name", ENGINE_CASES)
def test_rerun_and_resumed_run_are_bit_identical(dataset, optimizer, batch, n, epochs, name, tmp_path):
    run, samples = (
        make_run(dataset, batch, optimizer, n, epochs, warmup_epochs=0 if name == "compiled" else 1),
        tiny(dataset, 120 if n == 50 else 600, 50),
    )
    undisturbed = trainer.train(run, samples)
    assert undisturbed.engine == name
    same(undisturbed, trainer.train(run, samples))

    class Interrupted(Exception):
        pass

    class Stopping(trainer.Checkpoint):
        def write(self, epochs_done, state):
            super().write(epochs_done, state)
            raise Interrupted

    for _ in range(1, epochs):  # interrupted after every epoch, each time resumed from the file
        with pytest.raises(Interrupted):
            trainer.train(run, samples, checkpoint=Stopping(tmp_path, "key"))
        assert len(trainer.Checkpoint(tmp_path, "key").files()) == 1
    same(undisturbed, trainer.train(run, samples, checkpoint=trainer.Checkpoint(tmp_path, "key")))
    assert different(undisturbed, trainer.train(replace(run, seed=run.seed + 1), samples))


def test_a_checkpoint_holds_only_tensors_and_plain_values(tmp_path, capsys):
    """What a hostile pickle would run is not run; the file is set aside."""

    class Hostile:
        def __reduce__(self):
            return (print, ("ran",))

    buffer = io.BytesIO()
    torch.save({"history": Hostile()}, buffer)
    (tmp_path / "key.00001.pt").write_bytes(files.seal(buffer.getvalue()))
    with pytest.warns(UserWarning, match="key.00001.pt is set aside"):
        assert trainer.Checkpoint(tmp_path, "key").read() is None
    assert "ran" not in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["key.00001.pt.damaged"]


def from_another_engine(state, samples, run):
    """What the compiled engine of the same training writes, once as it is and once under a false name."""
    torch_engine = engines.TorchEngine(models.mlp(), samples, engines.recipe_of(run), "cpu")
    return state | {"made_by": "the torch engine on cpu", "engine": torch_engine.state()}


ODD = {
    "another engine": (
        from_another_engine,
        "it is of the torch engine on cpu, this is the compiled engine on cpu, and so the run",
    ),
    "another device": (
        lambda state, *_: state | {"made_by": "the compiled engine on cuda"},
        "it is of the compiled engine on cuda, this is the compiled engine on cpu, and so the run",
    ),
    "a false name": (
        lambda *given: from_another_engine(*given) | {"made_by": "the compiled engine on cpu"},
        "it does not hold the state of this training",
    ),
    "other weights": (
        lambda state, *_: state | {"engine": state["engine"] | {"flat": torch.zeros(7)}},
        "it does not hold the state of this training",
    ),
    "a history without losses": (
        lambda state, *_: state | {"history": {"seconds": [0.1]}},
        "it does not hold the state of this training",
    ),
    "something else": (lambda *_: {"epoch": 3}, "it does not hold the state of this training"),
    "no state at all": (lambda *_: [1, 2], "it does not hold the state of this training"),
}


@pytest.mark.parametrize("what", ODD)
def test_a_checkpoint_of_something_else_is_set_aside_with_a_sentence(what, tmp_path):
    run, samples = make_run("synthetic-1k", 32, "adam", 100, 3), tiny("synthetic-1k", 600, 50)
    undisturbed = trainer.train(run, samples)
    checkpoint = trainer.Checkpoint(tmp_path, "key")
    state = state_after_one_epoch(run, samples, "the compiled engine on cpu")
    odd, why = ODD[what]
    checkpoint.write(1, odd(state, samples, run))
    with pytest.warns(UserWarning, match=f"key.00001.pt is set aside under .*.damaged: {why}.* begins anew"):
        same(undisturbed, trainer.train(run, samples, checkpoint=checkpoint))
    assert [p.name for p in tmp_path.glob("*.damaged")] == ["key.00001.pt.damaged"]


@pytest.mark.parametrize("keep", [0, 10, 32, 500, -1])
def test_a_damaged_checkpoint_is_set_aside(keep, tmp_path):
    checkpoint = trainer.Checkpoint(tmp_path, "key")
    checkpoint.write(1, {"weights": torch.arange(100)})
    path = checkpoint.files()[0]
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.warns(UserWarning, match="key.00001.pt.damaged: it is damaged, and so the run repeats"):
        assert checkpoint.read() is None and checkpoint.files() == []
    assert [p.name for p in tmp_path.iterdir()] == [path.name + ".damaged"]


def test_checkpoint_keeps_the_newest_and_can_be_dropped(tmp_path):
    checkpoint = trainer.Checkpoint(tmp_path, "key")
    assert checkpoint.read() is None
    for epoch in (1, 2, 10):
        checkpoint.write(epoch, {"epoch": epoch})
    trainer.Checkpoint(tmp_path, "other").write(3, {"epoch": 3})
    assert [p.name for p in checkpoint.files()] == ["key.00010.pt"] and checkpoint.read() == {"epoch": 10}
    checkpoint.drop()
    assert checkpoint.read() is None
    assert [p.name for p in tmp_path.iterdir()] == ["other.00003.pt"]


def test_a_kill_before_the_older_state_is_dropped_leaves_two_and_either_serves(tmp_path, monkeypatch):
    """The newer one, and where that is damaged the older one."""
    checkpoint = trainer.Checkpoint(tmp_path, "key")
    checkpoint.write(1, {"epoch": 1})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        checkpoint.write(2, {"epoch": 2})
    assert [p.name for p in checkpoint.files()] == ["key.00001.pt", "key.00002.pt"]
    assert checkpoint.read() == {"epoch": 2}
    newer = checkpoint.files()[1]
    newer.write_bytes(newer.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="key.00002.pt is set aside"):
        assert checkpoint.read() == {"epoch": 1}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["key.00001.pt", "key.00002.pt.damaged"]


@pytest.mark.parametrize("optimizer, name", [("adam", "compiled"), ("sgd", "torch")])
def test_a_huge_rate_is_recorded_as_divergence(optimizer, name):
    run, samples = (
        replace(make_run("synthetic-1k", 32, optimizer, epochs=5), base_lr=1e30),
        tiny("synthetic-1k"),
    )
    outcome = trainer.train(run, samples)
    assert outcome.engine == name
    assert outcome.final["diverged_epoch"] == 1 and len(outcome.history["train_loss"]) == 1
    assert not math.isfinite(outcome.history["train_loss"][0])
    # an honest score: a network of NaNs answers class 0
    assert all(torch.isnan(w).any() for w in outcome.weights.values())
    assert outcome.final["test_correct"] == int((samples.test_y == 0).sum())
    assert outcome.final["train_correct"] == int((samples.train_y == 0).sum())


def test_divergence_is_recorded_at_its_epoch(monkeypatch):
    run, samples = make_run("synthetic-1k", 32, epochs=5), tiny("synthetic-1k")
    healthy = trainer.train(run, samples)
    assert healthy.final["diverged_epoch"] is None
    train_epoch = CompiledEngine.train_epoch

    def poisoned(self, epoch):
        loss, right = train_epoch(self, epoch)
        if epoch == 2:
            self.flat[:] = np.nan
            return math.inf, right
        return loss, right

    monkeypatch.setattr(CompiledEngine, "train_epoch", poisoned)
    outcome = trainer.train(run, samples)
    assert outcome.final["diverged_epoch"] == 3 and len(outcome.history["train_loss"]) == 3
    assert outcome.history["train_loss"][:2] == healthy.history["train_loss"][:2]
    assert outcome.final["test_correct"] == int((samples.test_y == 0).sum())


@pytest.mark.parametrize("kind", [TorchEngine, CompiledEngine])
def test_a_nan_in_the_data_reaches_the_loss(kind):
    samples = tiny("synthetic-1k")
    samples.train_x[17, 3] = math.nan
    loss, _ = engine_of(kind, make_run("synthetic-1k", 32), samples, "cpu").train_epoch(0)
    assert math.isnan(loss)


def test_scores_are_what_the_final_weights_give():
    """`final` and the last test score, recomputed from the returned weights by the plain network."""
    run, samples = make_run("cifar10", 40, "adam", n_train=90, epochs=2), tiny("cifar10", 120, 50)
    outcome = trainer.train(run, samples)
    net = reference.network("cifar10", outcome.weights.values())
    chosen = streams.subset(streams.seeds_of(run.seed), 120, 90)
    for part, x, y in (
        ("train", samples.train_x[chosen], samples.train_y[chosen]),
        ("test", samples.test_x, samples.test_y),
    ):
        with torch.no_grad():
            logits = net(reference.normalize(x.permute(0, 3, 1, 2), *samples.stats), [])
        loss = torch.nn.functional.cross_entropy(logits, y).item()
        assert outcome.final[f"{part}_loss"] == pytest.approx(loss, rel=1e-5)
        assert outcome.final[f"{part}_correct"] == int((logits.argmax(1) == y).sum())
    assert outcome.final["test_correct"] == outcome.history["test_correct"][-1]
    assert all(len(values) == 2 for values in outcome.history.values())
    assert set(outcome.history) == set(trainer.HISTORY)


def test_the_engine_follows_the_run():
    samples = tiny("synthetic-1k")
    run = make_run("synthetic-1k", 32)
    assert engines.engine_for(run, samples, "cpu").name == "compiled"
    for other in ({"precision": "bf16"}, {"weight_decay": 0.1}, {"warmup_epochs": 1}, OPTIMIZERS["sgd"]):
        assert engines.engine_for(replace(run, **other), samples, "cpu").name == "torch"


def test_without_numba_training_goes_on(monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    run, samples = make_run("synthetic-1k", 32, epochs=2), tiny("synthetic-1k")
    slow = trainer.train(run, samples)
    monkeypatch.undo()
    fast = trainer.train(run, samples)
    assert (slow.engine, fast.engine) == ("torch", "compiled")
    assert slow.final["train_loss"] == pytest.approx(fast.final["train_loss"], rel=1e-4)


def test_bf16_is_another_result_of_the_same_quality():
    run, samples = make_run("synthetic-1k", 32, "sgd", epochs=3), tiny("synthetic-1k")
    full, low = trainer.train(run, samples), trainer.train(replace(run, precision="bf16"), samples)
    assert different(full, low)
    assert low.final["train_loss"] == pytest.approx(full.final["train_loss"], abs=0.05)


def test_seeds_of_order_and_noise_act_on_their_own(monkeypatch):
    """With the initial weights the same, another order alone, or other noise alone, changes the result."""
    run, samples = make_run("synthetic-1k", 32), tiny("synthetic-1k")
    base, seeds = trainer.train(run, samples), streams.seeds_of(run.seed)
    for change in ("init", "order", "noise"):
        monkeypatch.setattr(
            streams, "seeds_of", lambda seed, c=change: replace(seeds, **{c: getattr(seeds, c) ^ 1})
        )
        assert different(base, trainer.train(run, samples)), change


def test_inputs_are_standardized_by_channel():
    for name in ("mnist", "cifar10"):
        samples = tiny(name, 20, 5)
        expected = reference.normalize(samples.train_x.permute(0, 3, 1, 2), *samples.stats, torch.float64)
        assert torch.allclose(samples.inputs(samples.train_x).double(), expected, atol=1e-6)
    features = tiny("synthetic-1k")
    assert features.inputs(features.train_x) is features.train_x
    assert data.CROP_PADDING == 4
