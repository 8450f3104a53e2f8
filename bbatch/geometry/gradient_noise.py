"""The noise of mini-batch gradients: Eq. (4), and the gradient noise scale of McCandlish et al. (2018)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import nn
from torch.func import grad, vmap

from ..errors import BadInput, positive, whole
from ..nests import mapped
from ..statistics import LEVEL, Interval
from .objective import Objective, finite

BATCHES = 20  # mini-batches of Eq. (4)


@dataclass(frozen=True)
class NoiseScale:
    """How large the noise of the gradient is beside the gradient.

    trace   tr(Σ), the variance of one sample's gradient
    norm2   |G|², the squared norm of the true gradient
    scale   tr(Σ)/|G|² in samples, with its interval

    `trace` and `norm2` are unbiased, so `norm2` may come out below 0: then `scale` is NaN. It is never
    negative.
    """

    trace: float
    norm2: float
    scale: Interval


def first_weight(net: nn.Module) -> str:
    """Name of the first layer's weights: the first trainable parameter of two dimensions or more."""
    names = [name for name, p in net.named_parameters() if p.requires_grad and p.dim() > 1]
    if not names:
        raise BadInput("the network has no weights of two dimensions or more, as a first layer has.")
    return names[0]


def gradient_variance(
    net: nn.Module,
    loss: Callable | None,
    inputs,
    targets,
    batch_size: int,
    *,
    replacement: bool = False,
    seed: int = 0,
    piece: int | None = None,
) -> float:
    """Eq. (4): the mean of (g_i − ḡ)² over `BATCHES` random mini-batches, averaged over the first layer's
    weights. With `replacement` one sample can stand in a mini-batch twice.

    Divided by the number of mini-batches, as printed: so it gives 19/20 of the variance. Raises `BadInput`
    for what cannot be measured (see `objective.Objective`), and for a mini-batch larger than the samples.
    """
    objective = Objective(net, loss, inputs, targets, piece)
    n = objective.count
    whole("batch size", batch_size, 1, n)
    rng = np.random.default_rng(seed)
    total = squares = 0.0
    for _ in range(BATCHES):
        chosen = torch.from_numpy(rng.choice(n, batch_size, replace=replacement)).to(objective.device)
        loss_here, g = objective.gradient(objective.start, chosen, [first_weight(net)])
        finite(loss_here)
        g = g.double()
        total, squares = total + g, squares + g * g
    return float((squares / BATCHES - (total / BATCHES) ** 2).clamp_min(0).mean())


def largest_share(
    net: nn.Module, loss: Callable | None, inputs, targets, share: float = 0.01, *, piece: int | None = None
) -> float:
    """How unevenly samples carry the gradient: the part of Σ|g_i|² in the `share` of samples with most of it.

    From 0 to 1; were all samples alike, it would be `share` itself.

    g_i is the gradient of the loss of sample i with respect to the first layer's weights; its square is what
    a mini-batch of Eq. (4) averages. The number of samples is rounded up. NaN where every gradient is 0.
    Raises `BadInput` for what cannot be measured (see `objective.Objective`), and unless 0 < share <= 1.
    """
    positive("share of samples", share)
    if share > 1:
        raise BadInput(f"share of samples is {share!r}; it must lie above 0 and be at most 1.")
    objective = Objective(net, loss, inputs, targets, piece)
    _ = objective.initial  # refused here if not finite
    fixed = {name: p.detach() for name, p in objective.cut(objective.start).items()}
    first = first_weight(net)
    weight = fixed.pop(first)

    def one(weight, sample):
        return objective.of(fixed | {first: weight}, mapped(lambda t: t[None], sample))

    norms = []
    for a in range(0, objective.count, objective.piece):
        slopes = vmap(grad(one), (None, 0))(weight, objective.take(slice(a, a + objective.piece)))
        norms.append(slopes.flatten(1).double().square().sum(1))
    falling = torch.cat(norms).sort(descending=True).values
    total = float(falling.sum())
    return float(falling[: math.ceil(share * len(falling))].sum()) / total if total else math.nan


def expected_variance(sigma2: float, batch_size: int, n: int, replacement: bool = False) -> float:
    """What Eq. (4) gives on average where the gradient of one of n samples has the variance `sigma2`.

    With replacement σ²/B, Eq. (1). Without, the finite population takes its share, a factor (n − B)/(n − 1).
    Eq. (4) divides by the number of mini-batches, not by one less. Raises `BadInput` unless 1 <= B <= n.
    """
    whole("batch size", batch_size, 1, n)
    finite = 1.0 if replacement or n == 1 else (n - batch_size) / (n - 1)
    return sigma2 / batch_size * finite * (BATCHES - 1) / BATCHES


def noise_scale(
    net: nn.Module, loss: Callable | None, inputs, targets, batch_size: int = 50, *, piece: int | None = None
) -> NoiseScale:
    """tr(Σ)/|G|² from the gradients of disjoint mini-batches of `batch_size` samples, of single ones for 1.

    The scatter of m mini-batch gradients estimates tr(Σ)/B without bias, and |ḡ|² less scatter/m estimates
    |G|² likewise (McCandlish et al. 2018, appendix A). The ratio's bias is taken out, and its interval made,
    by the jackknife over mini-batches. Samples of a last, partial mini-batch are left out. Memory: m
    gradients. Raises `BadInput` for what cannot be measured (see `objective.Objective`) and for fewer than
    three mini-batches."""
    objective = Objective(net, loss, inputs, targets, piece)
    n = objective.count
    whole("batch size", batch_size, 1, n)
    m = n // batch_size
    if m < 3:
        raise BadInput(f"{n} samples give {m} mini-batches of {batch_size}; three or more are needed.")
    order = torch.arange(m * batch_size, device=objective.device).view(m, batch_size)
    losses, gradients = zip(*(objective.gradient(objective.start, chosen) for chosen in order), strict=True)
    finite(sum(losses))
    g = torch.stack(gradients).double()
    own, with_sum = (g * g).sum(1), g @ g.sum(0)  # |g_i|² and g_i · Σg
    sum2, squares = float(with_sum.sum()), float(own.sum())
    trace, norm2 = _estimates(sum2, squares, m, batch_size)
    if norm2 <= 0:  # so few mini-batches do not tell it from 0
        return NoiseScale(trace, norm2, Interval(math.nan, math.nan, math.nan, m))
    left_out = _estimates(sum2 - 2 * with_sum + own, squares - own, m - 1, batch_size)
    scales = (left_out[0] / left_out[1]).cpu().numpy()
    return NoiseScale(trace, norm2, _jackknife(trace / norm2, scales))


def _estimates(sum2, squares, m: int, batch_size: int):
    """tr(Σ) and |G|² from |Σg|² and Σ|g|² of m mini-batch gradients."""
    scatter = (squares - sum2 / m) / (m - 1)
    return batch_size * scatter, sum2 / m**2 - scatter / m


def _jackknife(whole: float, left_out: np.ndarray) -> Interval:
    """The ratio, its bias taken out where that leaves it above 0; its interval begins at 0 at least."""
    m = len(left_out)
    mean = m * whole - (m - 1) * left_out.mean()
    error = math.sqrt((m - 1) / m * ((left_out - left_out.mean()) ** 2).sum())
    half = stats.t.ppf((1 + LEVEL) / 2, m - 1) * error
    mean = mean if mean > 0 else whole
    return Interval(float(mean), float(max(0.0, mean - half)), float(mean + half), m)
