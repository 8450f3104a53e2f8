"""The loss surface of the synthetic network, point by point: one functional call over samples held as one
tensor, against the usual way of loading weights into the network and iterating a DataLoader anew at every
point."""

from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from bbatch import data
from bbatch.config import plan
from bbatch.geometry.landscape import filter_directions, landscape
from bbatch.models import build

from .measure import interleaved, labelled, timed

POINTS = 15  # a round; the cost of a point does not depend on how many there are
SIDE = 51
LOADER_BATCH = 128  # of the published code of Li et al. (2018)


def loader_way(net, x, y, directions, axis) -> list[float]:
    """The loss at each point of a line, by weights written into the network and a pass over a DataLoader."""
    start, losses = [p.detach().clone() for p in net.parameters()], []
    loader = DataLoader(TensorDataset(x, y), batch_size=LOADER_BATCH)
    steps = directions[0].split([p.numel() for p in start])
    with torch.no_grad():
        for a in axis:
            for p, w, d in zip(net.parameters(), start, steps, strict=True):
                p.copy_(w + a * d.view_as(w))
            losses.append(sum(cross_entropy(net(u), v, reduction="sum").item() for u, v in loader) / len(y))
        for p, w in zip(net.parameters(), start, strict=True):
            p.copy_(w)
    return losses


def surface(rounds: int, report: Callable[[str], None]) -> list[dict]:
    """Time of a point of the landscape on 10,000 test samples, on as many threads as are set; `seconds` for
    the whole surface of 51 x 51 points at that cost. Elapsed time, since more than one thread is at work: on
    a busy machine only the ratio holds."""
    source, net = data.load("synthetic-50k"), build("mlp", 0).eval()
    x, y, directions = source.test_x, source.test_y, filter_directions(net, 1)
    axis = [k / POINTS for k in range(POINTS)]
    ways = {
        "DataLoader at every point": lambda: loader_way(net, x, y, directions, axis),
        "bbatch": lambda: landscape(net, cross_entropy, x, y, directions, [axis], progress=False),
    }
    first, second = (torch.tensor(way()) for way in ways.values())
    assert torch.allclose(first.double(), second.double(), rtol=1e-4), "the two ways disagree"

    costs = {name: timed(way, POINTS) for name, way in ways.items()}
    rows = interleaved({name: lambda cost=cost: cost() / 1e3 for name, cost in costs.items()}, rounds, report)
    rows = [row | {"points": SIDE * SIDE, "seconds": SIDE * SIDE * row["median"] / 1e3} for row in rows]
    return labelled(
        rows, "landscape", plan("synthetic-50k", 32), f"ms a point, {torch.get_num_threads()} threads"
    )
