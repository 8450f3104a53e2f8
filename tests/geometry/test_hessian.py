"""Eigenvalues and trace, against the exact Hessian of small networks."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bbatch.geometry.hessian import top_eigenvalues, trace
from bbatch.geometry.objective import vector
from factories import Point, quadratic, refused, refuses_what_cannot_be_measured, small_cnn, small_mlp


def exact(net, x, y):
    """The whole Hessian, entry by entry of PyTorch's own, in the order of the parameters."""
    names, parameters = zip(*net.named_parameters(), strict=True)
    sizes = [p.numel() for p in parameters]

    def loss(w):
        parts = {n: v.view(p.shape) for n, p, v in zip(names, parameters, w.split(sizes), strict=True)}
        return F.cross_entropy(torch.func.functional_call(net, parts, (x,)), y)

    return torch.autograd.functional.hessian(
        loss, torch.cat([p.detach().flatten() for p in parameters])
    ).numpy()


@pytest.mark.parametrize("make", [small_mlp, small_cnn])
@pytest.mark.parametrize("piece", [None, 25])
def test_eigenvalues_and_trace_are_those_of_the_exact_hessian(make, piece):
    net, x, y = make()
    hessian = exact(net, x, y)
    values = np.linalg.eigvalsh(hessian)[::-1]
    found = top_eigenvalues(net, F.cross_entropy, x, y, 3, iterations=30, piece=piece)
    assert found.values == pytest.approx(values[:3], rel=1e-4)
    assert all(min(abs(values - v)) <= r + 1e-8 for v, r in zip(found.values, found.residuals, strict=True))
    estimate = trace(net, F.cross_entropy, x, y, probes=100, piece=piece)
    assert estimate.low <= np.trace(hessian) <= estimate.high and estimate.n == 100


def test_a_quadratic_gives_its_own_eigenvalues_and_few_iterations_a_bound():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((12, 12))
    hessian = root @ root.T
    loss, x, y = quadratic(torch.tensor(hessian), torch.tensor(rng.standard_normal(12)))
    net, values = Point(np.zeros(12)).eval(), np.linalg.eigvalsh(hessian)
    all_of_them = top_eigenvalues(net, loss, x, y, 12, iterations=12)
    assert all_of_them.values == pytest.approx(values[::-1], rel=1e-6)
    few = top_eigenvalues(net, loss, x, y, iterations=4)
    assert few.values[0] <= values[-1] * (1 + 1e-12) and min(abs(values - few.values[0])) <= few.residuals[0]


def test_the_trace_of_a_diagonal_hessian_needs_one_probe():
    loss, x, y = quadratic(
        torch.diag(torch.tensor([1.0, -2.0, 4.5], dtype=torch.float64)), torch.zeros(3, dtype=torch.float64)
    )
    found = trace(Point(np.zeros(3)).eval(), loss, x, y, probes=1)
    assert found.mean == pytest.approx(3.5) and np.isnan(found.low)


def test_a_hessian_of_rank_one_ends_the_iteration_early():
    v = torch.tensor([3.0, 0.0, 4.0], dtype=torch.float64)
    loss, x, y = quadratic(torch.outer(v, v), torch.zeros(3, dtype=torch.float64))
    assert top_eigenvalues(Point(np.zeros(3)).eval(), loss, x, y, iterations=3).values[0] == pytest.approx(
        25.0
    )


@pytest.mark.filterwarnings("ignore:Using backward")  # with create_graph, which is how PyHessian does it
def test_pyhessian_agrees():
    pyhessian = pytest.importorskip("pyhessian")
    net, x, y = small_mlp(dtype=torch.float32)
    theirs = pyhessian.hessian(net, F.cross_entropy, data=(x, y), cuda=False)
    top = theirs.eigenvalues(maxIter=500, tol=1e-6)[0][0]
    assert top_eigenvalues(net, F.cross_entropy, x, y, iterations=40).values[0] == pytest.approx(
        top, rel=1e-2
    )
    torch.manual_seed(0)
    probes = np.array(theirs.trace(maxIter=400, tol=0))
    # of the mean of their probes, which are random as ours are
    error = 4 * probes.std() / np.sqrt(len(probes))
    ours = trace(net, F.cross_entropy, x, y, probes=400)
    assert ours.mean == pytest.approx(probes.mean(), abs=2 * error)


def test_bad_input():
    refuses_what_cannot_be_measured(top_eigenvalues)
    refuses_what_cannot_be_measured(trace)
    net, x, y = small_mlp()
    refused(
        lambda: top_eigenvalues(net, F.cross_entropy, x, y, 11, iterations=10),
        "number of eigenvalues is 11; it must be a whole number from 1 to 10",
    )
    refused(
        lambda: top_eigenvalues(net, F.cross_entropy, x, y, iterations=10**6),
        f"number of iterations is 1000000; it must be a whole number from 1 to {len(vector(net))}",
    )
    for wrong in (0, 1.5, "3", None, True):
        refused(
            lambda wrong=wrong: top_eigenvalues(net, F.cross_entropy, x, y, wrong),
            f"number of eigenvalues is {wrong!r}; it must be a",
        )
        refused(
            lambda wrong=wrong: trace(net, F.cross_entropy, x, y, probes=wrong),
            f"number of probes is {wrong!r}; it must be a",
        )
