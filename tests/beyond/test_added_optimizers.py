"""LAMB, AdamW and Muon against their papers' updates in NumPy, and what an engine asks of an optimizer."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bbatch import beyond, config, data, engines, optimizers
from bbatch.beyond.lamb import lamb
from bbatch.errors import BadInput

HOW = {"momentum": 0.95, "weight_decay": 0.01}


def after(make, start, gradients, lr, how=HOW):
    """The parameters after a step for each of the gradients (lists of arrays)."""
    parameters = [nn.Parameter(torch.tensor(w, dtype=torch.float64)) for w in start]
    optimizer = make(parameters, lr, **how)
    for step in gradients:
        for p, g in zip(parameters, step, strict=True):
            p.grad = torch.tensor(g, dtype=torch.float64)
        optimizer.step()
    return [p.detach().numpy() for p in parameters]


@pytest.fixture
def example():
    rng = np.random.default_rng(5)
    shapes = (3, 4), (4,), (5, 3), (2, 5)
    return [rng.normal(size=s) for s in shapes], [[rng.normal(size=s) for s in shapes] for _ in range(4)]


def adam_direction(gradients, epsilon):
    """m / (sqrt(v) + eps) after each of the gradients of one tensor, bias corrected."""
    m, v = 0, 0
    for t, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        yield (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + epsilon)


def test_lamb_by_hand(example):
    start, gradients = example
    start[1] = np.zeros(4)  # no weights yet: the ratio is 1
    expected = []
    for k, w in enumerate(start):
        for r in adam_direction([step[k] for step in gradients], 1e-6):
            u = r + 0.01 * w
            size = np.sqrt((w**2).sum()) or np.sqrt((u**2).sum())
            w = w - 0.02 * size / np.sqrt((u**2).sum()) * u
        expected.append(w)
    for ours, by_hand in zip(after(lamb, start, gradients, 0.02), expected, strict=True):
        assert ours == pytest.approx(by_hand, rel=1e-10)


def test_lamb_moves_each_layer_by_the_same_part_of_its_length(example):
    start, gradients = example
    for w, moved in zip(start, after(lamb, start, gradients[:1], 0.02), strict=True):
        assert np.linalg.norm(moved - w) == pytest.approx(0.02 * np.linalg.norm(w))


def test_adamw_by_hand(example):
    start, gradients = example
    for k, ours in enumerate(after(optimizers.OPTIMIZERS["adamw"], start, gradients, 0.02)):
        w = start[k]
        for r in adam_direction([step[k] for step in gradients], 1e-8):
            w = w - 0.02 * 0.01 * w - 0.02 * r
        assert ours == pytest.approx(w, rel=1e-6)


needs_muon = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this PyTorch has no Muon")


@needs_muon
def test_muon_by_hand_for_all_matrices_but_the_last(example):
    """Its five iterations run in bfloat16: three digits."""
    start, gradients = example
    ours = after(optimizers.OPTIMIZERS["muon"], start, gradients[:2], 0.02)
    for k in (0, 2):
        w, buffer = start[k], 0
        for step in gradients[:2]:
            g = step[k]
            buffer = 0.95 * buffer + 0.05 * g
            x = 0.05 * g + 0.95 * buffer  # Nesterov
            x = x / np.linalg.norm(x)
            for _ in range(5):
                a = x @ x.T
                x = 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x
            w = (1 - 0.02 * 0.01) * w - 0.02 * 0.2 * np.sqrt(max(w.shape)) * x
        assert ours[k] == pytest.approx(w, abs=2e-3) and np.abs(w - start[k]).max() > 0.01
    for k in (1, 3):  # the bias and the classifier
        w = start[k]
        for r in adam_direction([step[k] for step in gradients[:2]], 1e-8):
            w = w - 0.02 * 0.01 * w - 0.02 * r
        assert ours[k] == pytest.approx(w, rel=1e-6)


@needs_muon
def test_muon_is_resumed_where_it_was(example):
    start, gradients = example
    made = [[nn.Parameter(torch.tensor(w)) for w in start] for _ in range(2)]
    first, second = (optimizers.OPTIMIZERS["muon"](p, 0.02, **HOW) for p in made)

    def step(parameters, optimizer, k):
        for group in optimizer.param_groups:
            group["lr"] = 0.01
        for p, g in zip(parameters, gradients[k], strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()

    step(made[0], first, 0)
    for a, b in zip(made[0], made[1], strict=True):
        b.data.copy_(a.data)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for parameters, optimizer in ((made[0], first), (made[1], second)):
        step(parameters, optimizer, 1)
    assert all(torch.equal(a, b) for a, b in zip(*made, strict=True))
    first.zero_grad()
    assert all(p.grad is None for p in made[0])


def test_a_torch_without_muon_is_told(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    with pytest.raises(
        BadInput, match="optimizer 'muon' needs a PyTorch that has torch.optim.Muon; .* has not"
    ):
        beyond.optimizers.muon([nn.Parameter(torch.ones(2, 2))], 0.1, **HOW)


@pytest.mark.parametrize("name", ["adamw", "lamb", pytest.param("muon", marks=needs_muon)])
def test_each_trains_the_papers_network(name):
    source = data.load("synthetic-1k")
    run = replace(config.plan("synthetic-1k", 32, epochs=3, base_lr=0.01), optimizer=name, weight_decay=0.01)
    engine = engines.engine_for(run, source, "cpu")
    losses = [engine.train_epoch(epoch)[0] for epoch in range(3)]
    assert engine.name == "torch" and losses[2] < 0.8 * losses[0]


def test_an_optimizer_that_needs_a_closure_is_refused(monkeypatch):
    def lbfgs(parameters, lr, **_):
        return torch.optim.LBFGS(parameters, lr)

    monkeypatch.setitem(optimizers.OPTIMIZERS, "lbfgs", lbfgs)
    run = replace(config.plan("synthetic-1k", 32), optimizer="lbfgs")
    with pytest.raises(
        BadInput, match="LBFGS needs a closure .*; one whose step\\(\\) needs nothing is allowed"
    ):
        engines.engine_for(run, data.load("synthetic-1k"), "cpu")
