"""Gradient noise, against the gradient of every single sample and against averages over many draws."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bbatch.geometry.gradient_noise import (
    _jackknife,
    expected_variance,
    first_weight,
    gradient_variance,
    largest_share,
    noise_scale,
)
from factories import refused, refuses_what_cannot_be_measured, small_cnn, small_mlp


def gradients(net, x, y):
    """Each sample's gradient by a backward pass of its own, [n, P], and how many of P are first weights."""
    rows = []
    for k in range(len(y)):
        net.zero_grad()
        F.cross_entropy(net(x[k : k + 1]), y[k : k + 1]).backward()
        rows.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
    net.zero_grad()
    return torch.stack(rows).numpy(), next(net.parameters()).numel()


@pytest.mark.parametrize("make", [small_mlp, small_cnn])
@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("batch_size", [1, 6, 40])
def test_equation_4_from_the_gradients_of_single_samples(make, replacement, batch_size):
    net, x, y = make()
    g, first = gradients(net, x, y)
    rng = np.random.default_rng(11)  # the same draws
    means = np.array(
        [g[rng.choice(len(y), batch_size, replace=replacement), :first].mean(0) for _ in range(20)]
    )
    found = gradient_variance(
        net, F.cross_entropy, x, y, batch_size, replacement=replacement, seed=11, piece=5
    )
    assert found == pytest.approx(((means - means.mean(0)) ** 2).mean(), rel=1e-6, abs=1e-15)


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4, 20])
def test_the_expected_variance_is_the_average_over_many_draws(replacement, batch_size):
    net, x, y = small_cnn()
    g, first = gradients(net, x, y)
    sigma2 = g[:, :first].var(0).mean()
    found = np.mean(
        [
            gradient_variance(net, F.cross_entropy, x, y, batch_size, replacement=replacement, seed=s)
            for s in range(30)
        ]
    )
    assert found == pytest.approx(expected_variance(sigma2, batch_size, len(y), replacement), rel=0.12)


def test_the_whole_set_without_replacement_has_no_variance():
    net, x, y = small_mlp()
    assert expected_variance(3.0, 60, 60) == 0
    assert gradient_variance(net, F.cross_entropy, x, y, 60) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("make", [small_mlp, small_cnn])
def test_the_parts_of_the_noise_scale_from_single_samples(make):
    net, x, y = make()
    g, _ = gradients(net, x, y)
    n, trace = len(g), g.var(0, ddof=1).sum()
    norm2 = (g.mean(0) ** 2).sum() - trace / n
    found = noise_scale(net, F.cross_entropy, x, y, 1)
    assert (found.trace, found.norm2, found.scale.n) == (pytest.approx(trace), pytest.approx(norm2), n)

    def ratio(rows):
        t = rows.var(0, ddof=1).sum()
        return t / ((rows.mean(0) ** 2).sum() - t / len(rows))

    left_out = np.array([ratio(np.delete(g, k, 0)) for k in range(n)])
    mean = n * ratio(g) - (n - 1) * left_out.mean()
    mean = mean if mean > 0 else ratio(g)  # a negative number of samples is none
    assert found.scale.mean == pytest.approx(mean, rel=1e-6)
    error = np.sqrt((n - 1) * left_out.var())
    half = found.scale.high - found.scale.mean
    assert half == pytest.approx(error * 2.0, rel=0.03)  # Student's t at about 50 degrees is 2.0
    assert found.scale.low == pytest.approx(max(0.0, mean - half), abs=1e-6 * half)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_both_parts_are_unbiased(batch_size):
    """Over many samples drawn from a population, the means are the population's own tr(Σ) and |G|²."""
    net, x, y = small_mlp()
    g, _ = gradients(net, x, y)
    trace, norm2 = g.var(0).sum(), (g.mean(0) ** 2).sum()
    rng, found = np.random.default_rng(0), []
    for _ in range(120):
        drawn = torch.from_numpy(rng.integers(len(y), size=24))
        one = noise_scale(net, F.cross_entropy, x[drawn], y[drawn], batch_size)
        found.append((one.trace, one.norm2))
    found = np.array(found)
    error = found.std(0) / np.sqrt(len(found))
    assert abs(found.mean(0) - (trace, norm2)) / error == pytest.approx(0, abs=3.5)


@pytest.mark.parametrize(
    "whole, left_out, mean, half",
    [
        (2.0, [1.0, 2.0, 4.0], 4 / 3, 4.30265 * np.sqrt(2 / 3 * 14 / 3)),  # 3 · 2 − 2 · 7/3, and t of 2
        (2.1, [2.0, 2.1, 2.2], 2.1, 4.30265 * np.sqrt(2 / 3 * 0.02)),
        (1.0, [1.25] * 4, 0.25, 0.0),  # 4 · 1 − 3 · 1.25
        (1.0, [2.0] * 3, 1.0, 0.0),  # 3 · 1 − 2 · 2 is below 0: the ratio itself
    ],
)
def test_the_jackknife_takes_the_bias_out_and_begins_at_nothing_at_least(whole, left_out, mean, half):
    found = _jackknife(whole, np.array(left_out))
    ends = (mean, max(0.0, mean - half), mean + half)
    assert (found.mean, found.low, found.high) == pytest.approx(ends, rel=1e-5)
    assert found.n == len(left_out)


def test_no_gradient_at_all_no_scale():
    """A classifier that is sure of every sample: its gradients underflow to 0."""
    net = torch.nn.Linear(1, 2, bias=False).double().eval()
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1e4], [-1e4]]))
    x, y = torch.ones(6, 1).double(), torch.zeros(6, dtype=torch.long)
    found = noise_scale(net, F.cross_entropy, x, y, 2)
    assert (found.trace, found.norm2, found.scale.n) == (0.0, 0.0, 3) and np.isnan(found.scale.mean)


def test_no_true_gradient_no_scale():
    """Where the samples' gradients cancel, |G|² is estimated at or below 0, and the ratio is left open."""
    net = torch.nn.Linear(1, 1, bias=False).double().eval()
    with torch.no_grad():
        net.weight.zero_()
    x, y = (
        torch.ones(40, 1, dtype=torch.float64),
        torch.tensor([1.0, -1.0] * 20, dtype=torch.float64)[:, None],
    )
    found = noise_scale(net, F.mse_loss, x, y, 1)
    assert found.norm2 < 0 < found.trace and np.isnan(found.scale.mean)


@pytest.mark.parametrize("make", [small_mlp, small_cnn])
@pytest.mark.parametrize("share", [0.01, 0.11, 0.5, 1.0])
def test_the_share_of_the_largest_gradients_from_the_gradients_of_single_samples(make, share):
    net, x, y = make()
    g, first = gradients(net, x, y)
    squares = sorted(((row[:first] ** 2).sum() for row in g), reverse=True)
    expected = sum(squares[: int(np.ceil(share * len(squares)))]) / sum(squares)
    for piece in (None, 7):
        assert largest_share(net, F.cross_entropy, x, y, share, piece=piece) == pytest.approx(expected)


def test_equal_gradients_are_shared_evenly_and_none_by_nobody():
    net = torch.nn.Linear(2, 2).eval()
    x, y = torch.ones(50, 2), torch.zeros(50, dtype=torch.int64)
    assert largest_share(net, F.cross_entropy, x, y, 0.1) == pytest.approx(0.1)
    assert np.isnan(largest_share(net, lambda o, t: 0 * o.sum(), x, y))


def test_bad_input():
    net, x, y = small_mlp()
    refuses_what_cannot_be_measured(lambda net, loss, x, y: gradient_variance(net, loss, x, y, 1))
    refuses_what_cannot_be_measured(
        lambda net, loss, x, y: (
            noise_scale(net, loss, x, y, 1) if len(y) else gradient_variance(net, loss, x, y, 1)
        )
    )
    refuses_what_cannot_be_measured(largest_share)
    for share in (0, -0.1, 1.5, float("nan"), "1", None):
        refused(
            lambda share=share: largest_share(net, F.cross_entropy, x, y, share),
            "share of samples is .*; it must",
        )
    for b in (0, -1, 61, 2.0, True, None):
        refused(
            lambda b=b: gradient_variance(net, F.cross_entropy, x, y, b), "batch size is .*; .* from 1 to 60"
        )
        refused(lambda b=b: expected_variance(1.0, b, 60), "batch size is .*; .* from 1 to 60")
        refused(lambda b=b: noise_scale(net, F.cross_entropy, x, y, b), "batch size is .*; .* from 1 to 60")
    refused(lambda: noise_scale(net, F.cross_entropy, x, y, 25), "60 samples give 2 mini-batches")
    refused(lambda: first_weight(torch.nn.ReLU()), "no weights of two dimensions")
