"""Loss landscapes, against a network whose weights are set by hand at every point."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bbatch.geometry.landscape import filter_directions, landscape, toward
from bbatch.geometry.objective import vector
from bbatch.geometry.sharpness import rescale
from factories import refused, refuses_what_cannot_be_measured, small_cnn, small_mlp
from small_geometry import moved

AXES = ([-1.0, -0.5, 0.0, 0.25], [-0.3, 0.0, 1.0])


@pytest.mark.parametrize("make", [small_mlp, small_cnn])
@pytest.mark.parametrize("piece", [None, 7])
def test_every_point_is_the_loss_of_the_moved_network(make, piece):
    net, x, y = make()
    before = vector(net)
    d1, d2 = filter_directions(net, 2, seed=3)
    found = landscape(net, F.cross_entropy, x, y, torch.stack([d1, d2]), AXES, piece=piece, progress=False)
    expected = [[F.cross_entropy(moved(net, a * d1 + b * d2)(x), y).item() for b in AXES[1]] for a in AXES[0]]
    assert found.shape == (4, 3) and found.dtype == np.float32
    assert found == pytest.approx(np.array(expected), rel=1e-6)
    assert torch.equal(vector(net), before)


def test_a_direction_has_the_norm_of_each_filter_and_leaves_biases_alone():
    for net, *_ in (small_mlp(), small_cnn()):
        for direction in filter_directions(net, 3, seed=1):
            at = 0
            for p in net.parameters():
                d = direction[at : at + p.numel()].view(p.shape)
                at += p.numel()
                for row, filter_ in zip(d, p, strict=True):
                    expected = 0 if p.dim() == 1 else filter_.detach().square().sum().sqrt().item()
                    assert row.square().sum().sqrt().item() == pytest.approx(expected)
    again, other = filter_directions(net, 3, seed=1), filter_directions(net, 3, seed=2)
    assert torch.equal(again[-1], direction) and not torch.equal(other[-1], direction)
    assert abs(torch.cosine_similarity(again[0], again[1], dim=0)) < 0.6  # two draws, not one twice


def test_a_direction_is_gaussian_before_it_is_scaled():
    """Not uniform, not of one sign: over many filters the moments are those of a unit Gaussian vector."""
    net = torch.nn.Linear(200, 500, bias=False).eval()
    unit = (
        filter_directions(net, 1)[0].view(500, 200) / net.weight.detach().norm(dim=1, keepdim=True) * 200**0.5
    )
    assert unit.mean().item() == pytest.approx(0, abs=0.02)
    assert (unit**4).mean().item() == pytest.approx(3, abs=0.1)


def test_a_line_between_two_networks_begins_and_ends_at_their_losses():
    net, x, y = small_mlp()
    other = small_mlp(seed=9)[0]
    line = landscape(net, F.cross_entropy, x, y, toward(net, other), [[0.0, 0.5, 1.0]], progress=False)
    assert line[[0, 2]] == pytest.approx([F.cross_entropy(n(x), y).item() for n in (net, other)], rel=1e-6)
    assert line.shape == (3,)


def test_the_picture_of_a_rescaled_network_is_the_same():
    net, x, y = small_mlp()
    first = landscape(net, F.cross_entropy, x, y, filter_directions(net), AXES, progress=False)
    rescale(net[0], net[3], 8.0)
    assert landscape(
        net, F.cross_entropy, x, y, filter_directions(net), AXES, progress=False
    ) == pytest.approx(first, rel=1e-5)


def test_a_loss_that_is_infinite_far_away_stays_so():
    net, x, y = small_mlp(dtype=torch.float32)
    far = landscape(
        net, lambda o, t: o.square().mean(), x, y, filter_directions(net, 1), [[0.0, 1e19]], progress=False
    )
    assert np.isfinite(far[0]) and not np.isfinite(far[1])


def test_bad_input():
    refuses_what_cannot_be_measured(
        lambda net, loss, x, y: landscape(net, loss, x, y, torch.zeros(1, 5), [[0.0]], progress=False)
    )
    net, x, y = small_mlp()
    size = len(vector(net))
    for directions, axes in (
        (torch.zeros(2, size), [[0.0]]),
        (torch.zeros(1, size + 1), [[0.0]]),
        (torch.zeros(size), [[0.0]]),
    ):
        refused(
            lambda directions=directions, axes=axes: landscape(
                net, F.cross_entropy, x, y, directions, axes, progress=False
            ),
            "do not fit; 1 axes",
        )
    refused(
        lambda: landscape(net, F.cross_entropy, x, y, filter_directions(net, 1), [[float("nan")]]),
        "not finite",
    )
    refused(lambda: toward(net, small_cnn()[0]), "no line between them")
