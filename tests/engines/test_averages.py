"""Averages of batch normalization estimated anew, against means over batches taken by hand."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from bbatch import beyond, data  # noqa: F401 (networks by name)
from bbatch.config import plan
from bbatch.engines import engine_for
from bbatch.engines.cuda_graph import GraphEngine
from bbatch.errors import BadInput
from factories import engine_of

RUN = replace(plan("synthetic-1k", 64, epochs=2, n_train=640), network="mlp-batch-norm")


def means_by_hand(net, batches):
    """Layer by layer: inputs of each layer under batch statistics of the layers before, dropout off."""
    found, xs = [], batches
    for layer in net:
        if isinstance(layer, nn.BatchNorm1d):
            mean = torch.stack([x.mean(0) for x in xs]).mean(0)
            spread = torch.stack([((x - x.mean(0)) ** 2).sum(0) / (len(x) - 1) for x in xs]).mean(0)
            found.append((mean, spread))
            scale = [torch.sqrt(x.var(0, unbiased=False) + layer.eps) for x in xs]
            xs = [(x - x.mean(0)) / s * layer.weight + layer.bias for x, s in zip(xs, scale, strict=True)]
        else:
            xs = [layer(x) for x in xs]
    return found


def test_they_are_those_of_the_last_weights_over_the_training_samples():
    source = data.load("synthetic-1k")
    engine = engine_for(RUN, source, "cpu")
    for epoch in range(2):
        engine.train_epoch(epoch)
    layers = [m for m in engine.net.modules() if isinstance(m, nn.BatchNorm1d)]
    weights = [p.clone() for p in engine.net.parameters()]
    running = [layer.running_mean.clone() for layer in layers]
    engine.estimate_averages()
    with torch.no_grad():
        expected = means_by_hand(engine.net.eval(), source.train_x[engine.chosen].split(64))
    assert len(layers) == len(expected) == 2
    for layer, (mean, spread), was in zip(layers, expected, running, strict=True):
        assert torch.allclose(layer.running_mean, mean, atol=1e-5)
        assert torch.allclose(layer.running_var, spread, rtol=1e-4)
        assert layer.momentum == 0.1 and not layer.training
        assert (layer.running_mean - was).abs().max() > 1e-3  # what training left is another
    assert all(torch.equal(p, w) for p, w in zip(engine.net.parameters(), weights, strict=True))


def test_twice_gives_the_same_and_training_goes_on():
    engine = engine_for(RUN, data.load("synthetic-1k"), "cpu")
    engine.train_epoch(0)
    engine.estimate_averages()
    first = engine.weights()
    engine.estimate_averages()
    assert all(torch.equal(first[k], w) for k, w in engine.weights().items())
    engine.train_epoch(1)
    assert any(not torch.equal(first[k], w) for k, w in engine.weights().items() if "running_mean" in k)


def test_the_engine_that_captures_gives_the_same():
    """Its steps run eagerly here; on a GPU its own stream must take them."""
    source = data.load("synthetic-1k")
    plain, graph = engine_for(RUN, source, "cpu"), engine_of(GraphEngine, RUN, source, "cpu")
    plain.train_epoch(0)
    graph.net.load_state_dict(plain.weights())  # trained apart, rounding would grow
    before = graph.weights()
    for engine in (plain, graph):
        engine.estimate_averages()
    found = graph.weights()
    assert all(torch.allclose(w, found[k], atol=1e-6) for k, w in plain.weights().items())
    assert not torch.equal(before["1.running_mean"], found["1.running_mean"])


def test_without_batch_normalization_there_are_none():
    engine = engine_for(plan("synthetic-1k", 64, epochs=1), data.load("synthetic-1k"), "cpu")
    with pytest.raises(BadInput, match="no batch normalization, so there are no averages to estimate"):
        engine.estimate_averages()
