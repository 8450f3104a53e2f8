"""Sharpness: how far the loss can rise close to a network's weights (Eq. (3); Keskar et al. 2017).

The paper gives Eq. (3) with neither the norm of the ball nor the way of maximizing. Every ball here is a
product of Euclidean balls over groups of parameters, which covers the four readings in `NORMS`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..errors import BadInput, one_of, positive, whole
from .objective import Objective, generator, vector

NORMS = ("l2", "linf", "relative", "filter")
FIRST = 4  # gradients after which the starts of an ascent are compared
ITERATIONS = 10  # of L-BFGS-B, as Keskar et al. have it


@dataclass(frozen=True)
class Sharpness:
    """How far the loss rises.

    value     the largest rise that was found
    random    the largest that random directions alone show
    loss      L(w)
    restarts  the rise that each ascent reached that was followed to its end, which tells how far they agree
    """

    value: float
    random: float
    loss: float
    restarts: tuple[float, ...]


@dataclass(frozen=True)
class Ball:
    """All δ whose part in each group g has a norm of at most radius[g]; group int64 [P], radius [groups]."""

    group: torch.Tensor
    radius: torch.Tensor

    def norms(self, v: torch.Tensor) -> torch.Tensor:
        """Euclidean norm of each group's part of v, [groups]."""
        return torch.zeros_like(self.radius).index_add_(0, self.group, v * v).sqrt()

    def project(self, v: torch.Tensor) -> torch.Tensor:
        """The point of the ball that is nearest to v."""
        return v * (self.radius / self.norms(v).clamp_min(1e-30)).clamp_max(1)[self.group]

    def reach(self, v: torch.Tensor) -> torch.Tensor:
        """The point of the ball that goes farthest along v; 0 in groups where v is 0."""
        return v * (self.radius / self.norms(v).clamp_min(1e-30))[self.group]


def ball(net: nn.Module, norm: str, epsilon: float) -> Ball:
    """The ball of Eq. (3) around a network's weights w under one reading of its norm:

    l2        ‖δ‖₂ ≤ ε
    linf      |δ_i| ≤ ε
    relative  ‖δ‖₂ ≤ ε ‖w‖₂
    filter    ‖δ_f‖₂ ≤ ε ‖w_f‖₂ for each filter f, biases fixed, as in a filter-normalized landscape; the one
              of the four that does not change when the layers of a ReLU network are rescaled without changing
              its function

    Raises `BadInput` for another norm, or an epsilon that is not above 0.
    """
    one_of("norm", norm, NORMS)
    positive("epsilon", epsilon)
    w = vector(net)
    if norm == "linf":
        return Ball(torch.arange(len(w), device=w.device), torch.full_like(w, epsilon))
    if norm != "filter":
        radius = torch.full((1,), epsilon, dtype=w.dtype, device=w.device)
        one_group = torch.zeros(len(w), dtype=torch.int64, device=w.device)
        return Ball(one_group, radius * w.norm() if norm == "relative" else radius)
    groups, radii, count = [], [], 0
    for p in (p.detach() for p in net.parameters() if p.requires_grad):
        filters, size = (len(p), p[0].numel()) if p.dim() > 1 else (1, p.numel())
        groups.append(torch.arange(count, count + filters, device=w.device).repeat_interleave(size))
        radii.append(epsilon * p.flatten(1).norm(dim=1) if p.dim() > 1 else w.new_zeros(1))
        count += filters
    return Ball(torch.cat(groups), torch.cat(radii))


def sharpness(
    net: nn.Module,
    loss: Callable | None,
    inputs,
    targets,
    epsilon: float = 0.1,
    norm: str = "l2",
    *,
    steps: int = 20,
    restarts: int = 3,
    directions: int = 20,
    piece: int | None = None,
) -> Sharpness:
    """S(w, ε), Eq. (3): the maximum of L(w + δ) − L(w) over a ball, by projected gradient ascent.

    steps       gradients an ascent; a step that does not raise the loss is halved and tried again, and counts
    restarts    ascents that are followed to their end
    directions  random points on the ball's border: starts, and the other way to read Eq. (3)

    The loss has many local maxima in a wide ball, and how high a start leads is seen only on the way. So an
    ascent begins from each random point and from the gradient's own direction, and after `FIRST` gradients
    those that are highest are followed (in the ball ‖δ‖∞ ≤ 0.1 around a network of Synthetic 1K this reaches
    32.7, where following the three starts of the highest loss reached 25.6).

    The result is a lower bound of the maximum, never below what the random directions show. Raises `BadInput`
    for what cannot be measured (see `objective.Objective` and `ball`), and where the loss is not finite
    inside the ball.
    """
    for what, given in (("steps", steps), ("restarts", restarts), ("directions", directions)):
        whole(f"number of {what}", given, 1)
    objective = Objective(net, loss, inputs, targets, piece)
    room = ball(net, norm, epsilon)
    draw = generator(0)
    points = [
        room.reach(torch.randn(len(objective.start), generator=draw).to(objective.start))
        for _ in range(directions)
    ]
    rises = [objective.value(objective.start + p) - objective.initial for p in points]
    if not np.isfinite(rises).all():
        raise _too_far(epsilon)
    starts = [room.reach(objective.gradient(objective.start)[1]), *points]
    try:
        ascents = [Ascent(objective, room, start) for start in starts]
        for ascent in ascents:
            ascent.climb(min(FIRST, steps) - 1)
        best = sorted(ascents, key=lambda ascent: ascent.value)[-restarts:]
        for ascent in best:
            ascent.climb(steps - FIRST)
    except OverflowError:
        raise _too_far(epsilon) from None
    found = tuple(ascent.value - objective.initial for ascent in best)
    return Sharpness(max(*found, *rises), max(rises), objective.initial, found)


class Ascent:
    """Projected gradient ascent of L over a ball from w + `delta`: `value`, the loss that it has reached.

    The step, as long as the ball is wide, doubles while the loss rises and is halved where it does not. A
    very long one goes to the border's point along the gradient, which for a convex loss never lowers it.
    Raises `OverflowError` where the loss is not finite.
    """

    def __init__(self, objective: Objective, room: Ball, delta: torch.Tensor):
        self.objective, self.room, self.delta, self.stride = objective, room, delta, 1.0
        self.value, self.slope = self._at(delta)

    def climb(self, steps: int) -> None:
        """Go on for so many gradients."""
        for _ in range(steps):
            ahead = self.room.project(self.delta + self.stride * self.room.reach(self.slope))
            value, slope = self._at(ahead)
            if value > self.value:
                self.delta, self.value, self.slope, self.stride = ahead, value, slope, 2 * self.stride
            else:
                self.stride /= 2

    def _at(self, delta: torch.Tensor) -> tuple[float, torch.Tensor]:
        value, slope = self.objective.gradient(self.objective.start + delta)
        if not math.isfinite(value):
            raise OverflowError(f"the loss is {value}")
        return value, slope


def keskar(
    net: nn.Module,
    loss: Callable | None,
    inputs,
    targets,
    epsilon: float = 1e-3,
    *,
    subspace: int | None = None,
    piece: int | None = None,
) -> float:
    """Metric 2.1 of Keskar et al. (2017), in percent: 100 (max L(x + A y) − L(x)) / (1 + L(x)).

    The box is |y_i| ≤ ε (|(A⁺x)_i| + 1). A is the identity, or for a `subspace` of p dimensions a Gaussian
    matrix [P, p] with columns of length 1. As they do, the maximum is sought by a few iterations of L-BFGS-B,
    from y = 0; it is a lower bound. Raises `BadInput` for what cannot be measured, and for a subspace larger
    than the network.
    """
    from scipy.optimize import Bounds, minimize

    positive("epsilon", epsilon)
    objective = Objective(net, loss, inputs, targets, piece)
    x, size = objective.start, len(objective.start)
    if subspace is None:
        basis, inside = None, x
    else:
        whole("number of dimensions of the subspace", subspace, 1, size)
        basis = torch.randn(size, subspace, generator=generator(0)).to(x)
        basis /= basis.norm(dim=0)
        inside = torch.linalg.solve(basis.T @ basis, basis.T @ x)  # A⁺x
    half = (epsilon * (inside.abs() + 1)).double().cpu().numpy()
    highest = objective.initial

    def descend(y):
        nonlocal highest
        y = torch.from_numpy(y).to(x)
        value, slope = objective.gradient(x + (y if basis is None else basis @ y))
        if not np.isfinite(value):
            raise _too_far(epsilon)
        highest = max(highest, value)
        return -value, -(slope if basis is None else basis.T @ slope).double().cpu().numpy()

    minimize(
        descend,
        np.zeros_like(half),
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(-half, half),
        options={"maxiter": ITERATIONS},
    )
    return 100 * (highest - objective.initial) / (1 + objective.initial)


def _too_far(epsilon: float) -> BadInput:
    return BadInput(
        f"the loss is not finite within epsilon = {epsilon} of the weights; use a smaller epsilon."
    )


def rescale(first: nn.Module, second: nn.Module, factor: float) -> None:
    """Multiply layer `first` by `factor` and divide the weights of the next one, `second`, by it, in place.

    With ReLU (and pooling) alone between them, the function of their network stays (Dinh et al. 2017).
    """
    positive("factor", factor)
    with torch.no_grad():
        first.weight *= factor
        first.bias *= factor
        second.weight /= factor
