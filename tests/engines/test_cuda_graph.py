"""The CUDA engine's step, run eagerly on the CPU, against the ordinary engine. Capture and replay need a
GPU."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import reference
from bbatch import config, engines
from bbatch.engines import cuda_graph
from bbatch.engines.cuda_graph import GraphEngine, captures
from bbatch.engines.eager import TorchEngine
from bbatch.recipe import network_of, recipe_of
from factories import engine_of, reference_epochs, tiny

# Rates that 32 bits hold exactly: the engine keeps them in a tensor, and Adam's first steps amplify any
# rounding.
OPTIMIZERS = {
    "adam": {"optimizer": "adam", "momentum": 0.0, "weight_decay": 0.0, "base_lr": 2**-10, "base_batch": 16},
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 5e-4, "base_lr": 2**-8, "base_batch": 16},
}
# The convolutional networks take seconds each on a CPU.
NETWORKS = ["synthetic-1k", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mnist", "cifar10"))]
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")),
]


def run_of(dataset, batch=16, optimizer="adam", seed=3, epochs=2, n_train=200):
    return replace(
        config.plan(dataset, batch, seed, epochs=epochs, n_train=n_train),
        **OPTIMIZERS[optimizer],
        warmup_epochs=int(optimizer == "sgd"),
    )


def distance(a, b):
    return max(
        (x - y).abs().max().item() for x, y in zip(a.weights().values(), b.weights().values(), strict=True)
    )


def share_apart(ours, theirs, within):
    """The share of weights that lie further apart than `within`, a length for each tensor.

    Adam's first step is the rate times the sign of the gradient. A weight whose gradient is nothing but
    rounding then steps either way, by a whole step. Few do; a wrong rule would move nearly all.
    """
    apart = [((x - y).abs() > w).flatten() for x, y, w in zip(ours, theirs, within, strict=True)]
    return torch.cat(apart).double().mean().item()


FEW = 1e-3  # the share of weights that rounding may turn, on a card whose kernels add up in another order


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dataset", NETWORKS)
@pytest.mark.parametrize("device", DEVICES)
def test_agrees_with_the_ordinary_engine(device, dataset, optimizer):
    run, data = (
        run_of(dataset, optimizer=optimizer),
        tiny(dataset).to(device),
    )  # 13 steps an epoch, the last partial
    plain, graph = engine_of(TorchEngine, run, data, device), engine_of(GraphEngine, run, data, device)
    start, turned = plain.weights(), device == "cuda" and optimizer == "adam"
    for epoch in range(run.epochs):
        (loss, correct), (loss_graph, correct_graph) = plain.train_epoch(epoch), graph.train_epoch(epoch)
        assert loss_graph == pytest.approx(loss, rel=1e-3 if turned else 1e-5)
        assert abs(correct_graph - correct) <= 1
    if not turned:
        assert distance(plain, graph) < 1e-5
    ours, theirs = list(graph.weights().values()), list(plain.weights().values())
    # Turned weights turn others in the steps that follow: then a twentieth of the way that any went is
    # allowed.
    went = [0.05 * (w - start[k]).abs().max() for k, w in plain.weights().items()]
    assert share_apart(ours, theirs, went if turned else [1e-5] * len(ours)) < FEW
    assert max((start[k] - w).abs().max().item() for k, w in plain.weights().items()) > 1e-3  # it did train


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dataset", NETWORKS)
@pytest.mark.parametrize("device", DEVICES)
def test_agrees_with_the_plain_loop(device, dataset, optimizer):
    """Another program, other kernels, another order of memory: they round differently, and rounding grows."""
    # One step an epoch: on CUDA masks differ if drawn a batch at a time, and rounding has little time to
    # grow.
    run = run_of(dataset, batch=200, optimizer=optimizer, epochs=4)
    data = tiny(dataset)
    ours = engine_of(GraphEngine, run, data.to(device), device)
    start = list(ours.weights().values())
    net = reference.network(dataset, start)
    optimizer = torch.optim.Adam(net.parameters())
    if run.optimizer == "sgd":
        optimizer = torch.optim.SGD(net.parameters(), momentum=run.momentum, weight_decay=run.weight_decay)
    expected = reference.train(
        net,
        optimizer,
        lambda step: reference.learning_rate(
            run.base_lr, run.base_batch, run.batch_size, step, run.warmup_epochs * run.steps(0)
        ),
        run.batch_size,
        reference_epochs(run, data, True, torch.float32, device),
    )
    for epoch, (loss, right) in enumerate(expected):
        loss_ours, right_ours = ours.train_epoch(epoch)
        assert loss_ours == pytest.approx(loss, rel=1e-3)
        assert abs(right_ours - right) <= 2
    # two output biases of balanced classes pull against each other and hardly move
    rows = zip(net.parameters(), ours.weights().values(), start, strict=True)
    theirs, now, before = zip(*((p.detach(), w, b) for p, w, b in rows if w.dim() > 1), strict=True)
    within = [0.05 * (w - b).abs().max() for w, b in zip(now, before, strict=True)]
    assert share_apart(now, theirs, within) <= (FEW if device == "cuda" and run.optimizer == "adam" else 0)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dataset", NETWORKS)
@pytest.mark.parametrize("batch", [1, 32, pytest.param(256, id="many")])
@pytest.mark.parametrize("device", DEVICES)
def test_equal_runs_give_equal_bits(device, batch, dataset, optimizer):
    batch = min(batch, 48 if device == "cpu" else batch)  # on a card, which kernel runs depends on the size
    n = batch + 9  # whole batches and a partial one
    run, data = run_of(dataset, batch=batch, optimizer=optimizer, n_train=n), tiny(dataset).to(device)
    first, second = (engine_of(GraphEngine, run, data, device) for _ in range(2))
    for epoch in range(run.epochs):
        assert first.train_epoch(epoch) == second.train_epoch(epoch)
    assert distance(first, second) == 0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("device", DEVICES)
def test_resumes_bit_for_bit(device, optimizer):
    run, data = run_of("synthetic-1k", optimizer=optimizer, epochs=3), tiny("synthetic-1k").to(device)
    whole, first, second = (engine_of(GraphEngine, run, data, device) for _ in range(3))
    for epoch in range(3):
        whole.train_epoch(epoch)
    first.train_epoch(0)
    second.restore(first.state())
    for epoch in (1, 2):
        second.train_epoch(epoch)
    assert distance(whole, second) == 0


@pytest.mark.parametrize("device", DEVICES)
def test_seeds_side_by_side_give_what_each_gives_alone(device):
    data = tiny("synthetic-1k").to(device)
    runs = [run_of("synthetic-1k", seed=seed) for seed in range(4)]

    def trained(run):
        engine = engine_of(GraphEngine, run, data, device)
        for epoch in range(run.epochs):
            engine.train_epoch(epoch)
        return engine

    alone = [trained(run) for run in runs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(trained, runs))
    assert [distance(a, b) for a, b in zip(alone, together, strict=True)] == [0] * 4
    assert distance(alone[0], alone[1]) > 0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_preparing_a_capture_leaves_no_trace(monkeypatch, optimizer):
    """With a stand-in for the graph: its replay is the step itself, everything around it is the real
    thing."""
    run, data = run_of("mnist", optimizer=optimizer), tiny("mnist")
    plain, prepared, resumed = (engine_of(GraphEngine, run, data, "cpu") for _ in range(3))
    for engine in (prepared, resumed):
        step, graphs = engine._step, []

        class Graph:
            def __init__(self, engine=engine, step=step, graphs=graphs):
                self.engine, self.step, self.sizes = engine, step, []
                graphs.append(self)

            def register_generator_state(self, generator):
                assert generator is self.engine.generator

            def replay(self):
                for size in self.sizes:
                    self.step(size)

        @contextmanager
        def capture(graph, **_):
            graph.engine._step = graph.sizes.append
            yield
            graph.engine._step = graph.step

        with monkeypatch.context() as patch:
            patch.setattr(torch.cuda, "CUDAGraph", Graph)
            patch.setattr(torch.cuda, "synchronize", lambda device: None)
            patch.setattr(torch.cuda, "graph", capture)
            patch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
            engine.stream = SimpleNamespace(synchronize=lambda: None)
            engine.replays, engine.last = engine._captured()
        engine.stream = None
        assert sorted(g.sizes for g in graphs) == [[8], [16], [16] * cuda_graph.CHAIN]
        assert sorted(engine.replays) == [1, cuda_graph.CHAIN]
        assert distance(engine, plain) == 0
    addresses = [t.data_ptr() for t in resumed.net.parameters()]
    plain.train_epoch(0), prepared.train_epoch(0)
    resumed.restore(prepared.state())
    for engine in (plain, prepared, resumed):
        engine.train_epoch(1)
    assert distance(plain, prepared) == distance(plain, resumed) == 0
    assert addresses == [t.data_ptr() for t in resumed.net.parameters()]  # restored in place


def test_a_step_reads_nothing_back(monkeypatch):
    """What would make the host wait for the card, or break its capture, is refused while a step runs."""

    def refused(self, *_):
        raise AssertionError("the step asked the device for a value")

    run, data = run_of("cifar10", n_train=32), tiny("cifar10")
    engine = engine_of(GraphEngine, run, data, "cpu")
    engine.train_epoch(0)
    torch.arange(run.batch_size, out=engine.where), engine.step.zero_()
    for name in ("item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__"):
        monkeypatch.setattr(torch.Tensor, name, refused)
    engine.optimizer.step = lambda: None  # on a CPU the fused optimizer itself reads the learning rate
    engine._step(run.batch_size)


def test_the_trainer_takes_it_on_a_gpu_only():
    run, data = run_of("mnist"), tiny("mnist")
    assert engines.engine_for(run, data, "cpu").name == "torch"
    if torch.cuda.is_available():
        assert engines.engine_for(run, data.to("cuda"), "cuda").name == "cuda-graph"


def test_parameters_in_two_groups_are_not_captured():
    """A checkpoint's state is numbered in the order of the groups, which need not be that of the network."""
    run = config.plan("synthetic-1k", 32)
    network, recipe = network_of(run), recipe_of(run)

    def in_groups(count):
        def optimizer(parameters, lr):
            first, *rest = parameters
            groups = [{"params": [first, *rest]}] if count == 1 else [{"params": [first]}, {"params": rest}]
            return torch.optim.Adam(groups, lr=lr, capturable=True)

        return replace(recipe, optimizer=optimizer)

    assert captures(network, in_groups(1), "cpu") and not captures(network, in_groups(2), "cpu")
