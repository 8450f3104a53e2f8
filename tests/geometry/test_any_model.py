"""Every measurement of geometry on models as people write them: several or named inputs, losses of (model,
batch), batch normalization, attention, recurrent layers; against the exact Hessian."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bbatch.geometry.gradient_noise import gradient_variance, largest_share, noise_scale
from bbatch.geometry.hessian import top_eigenvalues, trace
from bbatch.geometry.landscape import filter_directions, landscape
from bbatch.geometry.objective import Objective
from bbatch.geometry.sharpness import sharpness
from factories import small_mlp

Y = torch.randint(2, (30,), generator=torch.Generator().manual_seed(1))
X = torch.randn(30, 3, 4, generator=torch.Generator().manual_seed(0)).double() + Y[:, None, None]


class Attends(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.out = nn.TransformerEncoderLayer(4, 2, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.layer(x).mean(1))


class Recurs(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.LSTM(4, 3, batch_first=True), nn.Linear(3, 2)

    def forward(self, x):
        return self.out(self.cell(x)[0][:, -1])


class Normalizes(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.norm, self.b = nn.Linear(12, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)

    def forward(self, x):
        return self.b(self.norm(self.a(x.flatten(1))).tanh())


def made(kind):
    torch.manual_seed(0)
    net = kind().double()
    net(X)  # running averages
    return net.eval()


def exact(net):
    """The whole Hessian in float64, by differences of gradients."""
    weights = [p for p in net.parameters() if p.requires_grad]

    def slope():
        return torch.cat(
            [g.flatten() for g in torch.autograd.grad(F.cross_entropy(net(X), Y), weights)]
        ).numpy()

    rows, step = [], 1e-5
    for p in weights:
        flat = p.data.view(-1)
        for k in range(len(flat)):
            at = flat[k].item()
            flat[k] = at + step
            above = slope()
            flat[k] = at - step
            rows.append((above - slope()) / (2 * step))
            flat[k] = at
    return np.array(rows)


@pytest.mark.parametrize("kind", [Attends, Recurs, Normalizes])
def test_the_hessian_is_the_exact_one(kind):
    net = made(kind)
    hessian = exact(net)
    found = top_eigenvalues(net, F.cross_entropy, X, Y, 2, iterations=25)
    assert found.values == pytest.approx(np.linalg.eigvalsh(hessian)[::-1][:2], rel=1e-4)


def test_batch_normalization_keeps_its_averages_or_takes_them_from_the_samples():
    net = made(Normalizes)
    before = net.norm.running_mean.clone()
    held = Objective(net, F.cross_entropy, X, Y)
    assert held.value(held.start) == pytest.approx(F.cross_entropy(net(X), Y).item())
    assert torch.equal(net.norm.running_mean, before)
    net.norm.running_mean = net.norm.running_var = None
    anew = Objective(net, F.cross_entropy, X, Y, piece=30)
    out = net.a(X.flatten(1))
    out = (out - out.mean(0)) / (out.var(0, correction=0) + net.norm.eps).sqrt()
    expected = F.cross_entropy(net.b((net.norm.weight * out + net.norm.bias).tanh()), Y).item()
    assert anew.value(anew.start) == pytest.approx(expected)


class Two(nn.Module):
    """`small_mlp` with its input in two parts."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, left, right):
        return self.net(torch.cat([left, right], 1))


def test_every_measurement_takes_tuples_dicts_and_losses_of_model_and_batch():
    net, x, y = small_mlp()
    two = Two(net).eval()
    forms = [
        (F.cross_entropy, (x[:, :2], x[:, 2:]), y),
        (None, {"left": x[:, :2], "right": x[:, 2:], "labels": y}, None),
        (
            lambda model, b: F.cross_entropy(model(*b["parts"]), b["y"]),
            {"parts": (x[:, :2], x[:, 2:]), "y": y},
            None,
        ),
    ]
    direction = filter_directions(net, 1)
    for measure in (
        lambda n, *given: top_eigenvalues(n, *given, iterations=5).values,
        lambda n, *given: trace(n, *given, probes=3).mean,
        lambda n, *given: sharpness(n, *given, steps=2, directions=2).value,
        lambda n, *given: noise_scale(n, *given, 10).trace,
        lambda n, *given: gradient_variance(n, *given, 10),
        lambda n, *given: largest_share(n, *given, 0.1),
        lambda n, *given: landscape(n, *given, direction, [[0.0, 1.0]], progress=False),
    ):
        plain = measure(net, F.cross_entropy, x, y)
        for form in forms:
            assert measure(two, *form) == pytest.approx(plain, rel=1e-6)


def test_the_noise_scale_is_never_negative():
    torch.manual_seed(0)
    for seed in range(40):
        net, x, y = small_mlp(seed)
        y = torch.randint(0, 3, (60,))  # nothing to learn: the mean gradient is lost in its noise
        found = noise_scale(net, F.cross_entropy, x, y, 5)
        assert found.trace >= 0
        assert math.isnan(found.scale.mean) if found.norm2 <= 0 else 0 <= found.scale.low <= found.scale.mean
