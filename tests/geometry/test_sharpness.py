"""Sharpness, against losses whose maximum over a ball is known in closed form or found by brute force."""

import inspect
import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import nn
from torch.nn import functional as F

from bbatch.geometry.networks import EFFORT
from bbatch.geometry.objective import Objective
from bbatch.geometry.sharpness import NORMS, ball, keskar, rescale, sharpness
from factories import Point, quadratic, refused, refuses_what_cannot_be_measured, small_cnn, small_mlp


def random_quadratic(size, seed, definite):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((size, size)))[0]
    values = rng.uniform(0.1, 5, size) if definite else rng.uniform(-5, 5, size)
    return basis @ np.diag(values) @ basis.T, rng.standard_normal(size)


def largest_in_euclidean_ball(hessian, slope, radius):
    """max of g·d + dᵀHd/2 over |d| <= r, where (μI − H)d = g, μ >= λmax, |d| = r (Moré & Sorensen 1983)."""
    values, vectors = np.linalg.eigh(hessian)
    g = vectors.T @ slope
    if values[-1] < 0 and np.linalg.norm(g / values) <= radius:
        d = -g / values
    else:
        low = max(values[-1], 0) + 1e-12
        mu = brentq(
            lambda m: np.linalg.norm(g / (m - values)) - radius, low, low + np.linalg.norm(g) / radius + 10
        )
        d = g / (mu - values)
    return g @ d + (values * d * d).sum() / 2


@pytest.mark.parametrize("definite", [True, False])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("epsilon", [0.01, 0.1, 3.0])
def test_the_maximum_over_a_euclidean_ball_is_found(seed, definite, epsilon):
    hessian, slope = random_quadratic(6, seed, definite)
    loss, x, y = quadratic(torch.tensor(hessian), torch.tensor(slope))
    found = sharpness(Point(np.zeros(6)).eval(), loss, x, y, epsilon, "l2", steps=200)
    expected = largest_in_euclidean_ball(hessian, slope, epsilon)
    assert found.value == pytest.approx(expected, rel=1e-4)
    assert found.random <= found.value <= expected * (1 + 1e-9) and len(found.restarts) == 3


def test_at_a_minimum_it_is_half_the_largest_eigenvalue_times_the_radius_squared():
    hessian, _ = random_quadratic(8, 7, True)
    loss, x, y = quadratic(torch.tensor(hessian), torch.zeros(8, dtype=torch.float64))
    found = sharpness(Point(np.zeros(8)).eval(), loss, x, y, 0.1, "l2", steps=300)
    assert found.value == pytest.approx(np.linalg.eigvalsh(hessian)[-1] * 0.1**2 / 2, rel=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_the_maximum_over_a_box_is_at_the_best_corner(seed):
    hessian, slope = random_quadratic(7, seed, True)
    loss, x, y = quadratic(torch.tensor(hessian), torch.tensor(slope))
    corners = 0.1 * np.array(list(product((-1, 1), repeat=7)))
    best = max(c @ slope + c @ hessian @ c / 2 for c in corners)
    assert sharpness(Point(np.zeros(7)).eval(), loss, x, y, 0.1, "linf", steps=50).value == pytest.approx(
        best
    )


@pytest.mark.parametrize("seed", range(8))
def test_the_search_of_a_box_finds_what_an_exhaustive_one_finds(seed):
    """Every corner of the box around a trained network of 17 parameters. Following the starts of the highest
    loss alone, as the search once did, reaches half of it with seed 4 and 70 % with seed 1."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).double().eval()
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y = (x.prod(1) > 0).long()
    optimizer = torch.optim.Adam(net.parameters(), 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
    flat = torch.cat([p.detach().flatten() for p in net.parameters()])
    w = flat + 0.3 * torch.tensor(list(product((-1.0, 1.0), repeat=17)), dtype=torch.float64)
    hidden = torch.relu(torch.einsum("kij,nj->kni", w[:, :6].view(-1, 3, 2), x) + w[:, None, 6:9])
    outputs = torch.einsum("kij,knj->kni", w[:, 9:15].view(-1, 2, 3), hidden) + w[:, None, 15:17]
    losses = -torch.log_softmax(outputs, -1)[:, torch.arange(40), y].mean(1)
    exhaustive = losses.max().item() - F.cross_entropy(net(x), y).item()
    found = sharpness(net, F.cross_entropy, x, y, 0.3, "linf", steps=30).value
    assert found > 0.95 * exhaustive  # a point inside may lie higher than every corner


def test_each_ball_is_what_its_name_says():
    net, *_ = small_cnn()
    parameters = list(net.parameters())
    flat = torch.cat([p.detach().flatten() for p in parameters])
    far = torch.randn(len(flat), dtype=flat.dtype) * 100
    inside = {norm: ball(net, norm, 0.2).project(far) for norm in NORMS}
    assert inside["l2"].norm().item() == pytest.approx(0.2)
    assert inside["relative"].norm().item() == pytest.approx(0.2 * flat.norm().item())
    assert inside["linf"].abs().max().item() == pytest.approx(0.2) and torch.equal(
        inside["linf"].sign(), far.sign()
    )
    at = 0
    for p in parameters:
        for row, w in zip(inside["filter"][at : at + p.numel()].view(p.shape), p.detach(), strict=True):
            assert row.norm().item() == pytest.approx(0.2 * w.norm().item() if p.dim() > 1 else 0)
        at += p.numel()
    for norm in NORMS:  # what lies inside stays
        near = inside[norm] / 2
        assert torch.allclose(ball(net, norm, 0.2).project(near), near)


def test_a_layer_of_one_filter_has_a_ball_of_its_own():
    net = nn.Linear(2, 1)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[3.0, 4.0]]))
    found = ball(net, "filter", 0.2)
    assert found.radius.tolist() == pytest.approx([0.2 * 5, 0]) and found.group.tolist() == [0, 0, 1]


def test_rescaling_multiplies_one_layer_and_divides_the_weights_of_the_next():
    net, x, _ = small_mlp()
    before, outputs = [p.detach().clone() for p in net.parameters()], net(x)
    rescale(net[0], net[3], 4.0)
    factors = [4, 4, 1 / 4, 1, 1, 1]
    for p, old, factor in zip(net.parameters(), before, factors, strict=True):
        assert torch.equal(p.detach(), old * factor)
    assert torch.allclose(net(x), outputs)


def test_no_random_point_and_no_fine_search_does_better_on_a_network():
    net, x, y = small_mlp()
    flat = torch.cat([p.detach().flatten() for p in net.parameters()])
    found = sharpness(net, F.cross_entropy, x, y, 0.3, "l2", steps=40, restarts=3)
    draws = torch.randn(1000, len(flat), dtype=flat.dtype)
    draws *= 0.3 / draws.norm(dim=1, keepdim=True)
    names, shapes = zip(*((n, p.shape) for n, p in net.named_parameters()), strict=True)

    def rise(d):
        parts = (flat + d).split([s.numel() for s in shapes])
        parameters = {n: part.view(s) for n, part, s in zip(names, parts, shapes, strict=True)}
        return F.cross_entropy(torch.func.functional_call(net, parameters, (x,)), y)

    start = rise(torch.zeros_like(flat)).item()
    assert found.loss == pytest.approx(start)
    assert max(rise(d).item() for d in draws) - start < found.value
    # plain gradient ascent with small fixed steps, projected onto the sphere
    d = draws[0].clone().requires_grad_()
    for _ in range(500):
        (g,) = torch.autograd.grad(rise(d), d)
        d = (d + 0.2 * g).detach()
        d = (d * min(1, 0.3 / d.norm().item())).requires_grad_()
    assert found.value == pytest.approx(rise(d).item() - start, rel=0.01)


def test_rescaling_changes_every_reading_of_the_definition_but_the_filterwise_one():
    values = {}
    for factor in (1.0, 10.0):
        net, x, y = small_mlp()
        before = net(x)
        rescale(net[0], net[3], factor)
        assert torch.allclose(net(x), before)
        values[factor] = {n: sharpness(net, F.cross_entropy, x, y, 0.1, n, steps=40).value for n in NORMS}
    changes = {n: values[10.0][n] / values[1.0][n] for n in NORMS}
    assert changes["filter"] == pytest.approx(1, rel=1e-3)
    assert all(abs(np.log(changes[n])) > 0.2 for n in NORMS if n != "filter"), changes


def test_metric_2_1_on_a_separable_quadratic():
    start, values = np.array([0.5, -2.0, 0.0, 1.0]), np.array([1.0, 2.0, 3.0, 0.5])
    net = Point(start).eval()

    def loss(outputs, targets):
        return 0.25 + (torch.tensor(values) * (outputs[0] - 0.1) ** 2).sum() / 2

    x, y = torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1)
    at = 0.25 + (values * (start - 0.1) ** 2).sum() / 2
    half = 0.05 * (np.abs(start) + 1)
    # each coordinate away from its minimum
    most = 0.25 + (values * (np.abs(start - 0.1) + half) ** 2).sum() / 2
    assert keskar(net, loss, x, y, 0.05) == pytest.approx(100 * (most - at) / (1 + at))


def test_metric_2_1_in_a_subspace_stays_in_its_box():
    """In one dimension the box is an interval, which can be searched through."""
    net, x, y = small_mlp()
    flat = torch.cat([p.detach().flatten() for p in net.parameters()])
    a = torch.randn(len(flat), 1, generator=torch.Generator().manual_seed(0)).to(flat)
    a /= a.norm()
    half = 0.5 * (abs(float(a[:, 0] @ flat)) + 1)

    def at(t):
        sizes, w = [p.numel() for p in net.parameters()], flat + t * a[:, 0]
        parts = {n: v.view(p.shape) for (n, p), v in zip(net.named_parameters(), w.split(sizes), strict=True)}
        return F.cross_entropy(torch.func.functional_call(net, parts, (x,)), y).item()

    most = max(at(t) for t in np.linspace(-half, half, 2001))
    found = keskar(net, F.cross_entropy, x, y, 0.5, subspace=1)
    assert found == pytest.approx(100 * (most - at(0)) / (1 + at(0)), rel=0.05) or found <= 100 * (
        most - at(0)
    ) / (1 + at(0))
    assert 0 < found
    assert keskar(net, F.cross_entropy, x, y, 1e-3, subspace=20) < keskar(net, F.cross_entropy, x, y, 1e-3)


@pytest.mark.parametrize("steps, gradients", [(6, 1 + 3 * 4 + 2), (4, 1 + 3 * 4), (2, 1 + 3 * 2)])
def test_as_many_gradients_as_are_asked_for(steps, gradients, monkeypatch):
    """One for its own direction; of three ascents up to four each, and the rest for the best of them."""
    net, x, y = small_mlp()
    gradient, calls = Objective.gradient, []
    monkeypatch.setattr(Objective, "gradient", lambda *given: calls.append(0) or gradient(*given))
    sharpness(net, F.cross_entropy, x, y, steps=steps, restarts=1, directions=2)
    assert len(calls) == gradients


def test_without_an_epsilon_metric_2_1_is_that_of_a_thousandth():
    net, x, y = small_mlp()
    assert keskar(net, F.cross_entropy, x, y) == keskar(net, F.cross_entropy, x, y, 0.001)


def test_bad_input():
    net, x, y = small_mlp()
    size = sum(p.numel() for p in net.parameters())
    refuses_what_cannot_be_measured(sharpness)
    refuses_what_cannot_be_measured(keskar)
    for epsilon in (0, -0.1, float("nan"), float("inf"), True, "0.1", None):
        refused(
            lambda epsilon=epsilon: sharpness(net, F.cross_entropy, x, y, epsilon),
            "epsilon is .*; it must be a finite number above 0",
        )
        refused(
            lambda epsilon=epsilon: keskar(net, F.cross_entropy, x, y, epsilon),
            "epsilon is .*; it must be a finite number above 0",
        )
    refused(
        lambda: sharpness(net, F.cross_entropy, x, y, norm="l1"), "norm 'l1' is unknown; allowed are l2, linf"
    )
    refused(
        lambda: sharpness(net, F.cross_entropy, x, y, restarts=0),
        "number of restarts is 0; it must be a whole number of at least 1",
    )
    refused(lambda: sharpness(net, lambda o, t: o.square().mean(), x, y, 1e200), "not finite within epsilon")
    # finite at all points that are drawn, and not at the border along the gradient
    wide, at = torch.nn.Linear(50, 1, bias=False).double().eval(), torch.full((4, 50), 50**-0.5).double()
    with torch.no_grad():
        wide.weight.copy_(at[:1])  # its output is 1, and 1.8 at the border
    for endless in (math.inf, math.nan):

        def steep(outputs, targets, endless=endless):
            return outputs.mean() if outputs.mean() < 1.6 else endless * outputs.mean()

        refused(lambda steep=steep: sharpness(wide, steep, at, at, 0.8), "not finite within epsilon = 0.8")
    for p in (0, size + 1, 2.5):
        refused(
            lambda p=p: keskar(net, F.cross_entropy, x, y, subspace=p),
            f"it must be a whole number from 1 to {size}",
        )
    refused(lambda: rescale(net[0], net[3], 0), "factor is 0")


def test_it_is_sought_from_as_many_points_as_in_the_tables_unless_told():
    usual = {name: p.default for name, p in inspect.signature(sharpness).parameters.items()}
    effort = EFFORT["synthetic-50k"]
    assert (usual["restarts"], usual["directions"]) == (effort.restarts, effort.directions)
