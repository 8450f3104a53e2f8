"""Ghost batch normalization against separate batches, by hand in NumPy, and the batches it refuses."""

import numpy as np
import pytest
import torch
from torch import nn

from bbatch import config, data, engines
from bbatch.beyond.ghost import GhostBatchNorm1d, GhostBatchNorm2d
from bbatch.errors import BadInput


def by_hand(x, parts):
    """Output for each part normalized by itself (axis 0 samples, axis 1 channels), and the running mean and
    variance after all of them, as Algorithm 1 of Hoffer et al. sums them (rate 0.1)."""
    outputs, mean, variance = [], np.zeros(x.shape[1]), np.ones(x.shape[1])
    rest = tuple(a for a in range(x.ndim) if a != 1)
    wide = (1, -1) + (1,) * (x.ndim - 2)
    k = len(parts)
    total_mean, total_variance = 0.9**k * mean, 0.9**k * variance
    for i, (a, b) in enumerate(parts):
        part = x[a:b]
        m, v = part.mean(rest), part.var(rest)
        n = part.size // x.shape[1]
        outputs.append((part - m.reshape(wide)) / np.sqrt(v.reshape(wide) + 1e-5))
        total_mean = total_mean + 0.9 ** (k - 1 - i) * 0.1 * m
        total_variance = total_variance + 0.9 ** (k - 1 - i) * 0.1 * v * n / (n - 1)
    return np.concatenate(outputs), total_mean, total_variance


@pytest.mark.parametrize(
    "layer, shape, parts",
    [
        (GhostBatchNorm1d, (96, 5), [(0, 32), (32, 64), (64, 96)]),
        (GhostBatchNorm1d, (70, 5), [(0, 35), (35, 70)]),  # none smaller than 32
        (GhostBatchNorm1d, (20, 5), [(0, 20)]),  # a last, partial batch
        (GhostBatchNorm2d, (64, 3, 4, 4), [(0, 32), (32, 64)]),
    ],
)
def test_parts_are_normalized_as_separate_batches(layer, shape, parts):
    x = np.random.default_rng(1).normal(2, 3, shape)
    net = layer(shape[1]).double()
    given = torch.tensor(x)
    outputs, mean, variance = by_hand(x, parts)
    assert net(given).detach().numpy() == pytest.approx(outputs)
    assert net.running_mean.numpy() == pytest.approx(mean)
    assert net.running_var.numpy() == pytest.approx(variance)
    wide = (1, -1) + (1,) * (x.ndim - 2)
    expected = (x - mean.reshape(wide)) / np.sqrt(variance.reshape(wide) + 1e-5)
    assert net.eval()(given).detach().numpy() == pytest.approx(expected)


def test_the_gradient_is_the_sum_over_separate_batches():
    x = torch.randn(64, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    whole, apart = GhostBatchNorm1d(5).double(), nn.BatchNorm1d(5).double()
    whole(x).pow(3).sum().backward()
    for part in (x[:32], x[32:]):
        apart(part).pow(3).sum().backward()
    assert torch.allclose(whole.weight.grad, apart.weight.grad)
    assert not torch.allclose(whole(x), nn.BatchNorm1d(5).double()(x), atol=1e-3)


def test_an_engine_trains_ghosts_on_whole_batches_and_refuses_small_ones():
    source = data.load("synthetic-1k")

    def engine(batch_size, **how):
        how = {"network": "mlp-ghost-norm", "epochs": 4} | how
        return engines.engine_for(config.plan("synthetic-1k", batch_size, **how), source, "cpu")

    losses = [engine(256).train_epoch(0)[0], engine(32).train_epoch(0)[0]]
    assert np.isfinite(losses).all()
    with pytest.raises(
        BadInput, match="GhostBatchNorm1d needs batches of 32 samples or more; 16 were asked for"
    ):
        engine(16)
    with pytest.raises(BadInput, match="of 32 samples or more; 16 were"):
        engine(256, batch_schedule="growing")  # begins with a sixteenth


def test_a_last_batch_of_one_sample_has_no_variance():
    source = data.load("synthetic-1k")
    for size, n in ((1, 800), (32, 769)):
        run = config.plan("synthetic-1k", size, network="mlp-batch-norm", n_train=n, epochs=1)
        with pytest.raises(
            BadInput, match=f"cannot train on one sample alone, .* {n} samples in batches of {size}"
        ):
            engines.engine_for(run, source, "cpu")
    engines.engine_for(config.plan("synthetic-1k", 1), source, "cpu")  # without batch normalization it may
