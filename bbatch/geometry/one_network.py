"""Everything that is measured of one network of the reproduction, as rows of the long table of `geometry`."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from .. import data
from ..config import Run
from . import gradient_noise, hessian, sharpness
from .networks import EFFORT, REFERENCE, Effort, fixed_samples

EPSILON = 0.1  # Section IV-E
KESKAR_EPSILON, KESKAR_DIMENSIONS = 1e-3, 100  # the larger epsilon and the subspace of Keskar et al. (2017)

# Name in the column `measure`, and what it is. Losses are mean cross-entropies in nats, in eval mode.
MEASURES = {
    "loss": "mean cross-entropy",
    "accuracy": "accuracy, percent",
    "weight_norm": "Euclidean norm of all parameters",
    "sharpness_l2": "Eq. (3), ‖δ‖₂ ≤ ε, maximised",
    "sharpness_l2_random": "Eq. (3), ‖δ‖₂ ≤ ε, random directions",
    "sharpness_linf": "Eq. (3), ‖δ‖∞ ≤ ε, maximised",
    "sharpness_linf_random": "Eq. (3), ‖δ‖∞ ≤ ε, random directions",
    "sharpness_relative": "Eq. (3), ‖δ‖₂ ≤ ε‖w‖₂, maximised",
    "sharpness_relative_random": "Eq. (3), ‖δ‖₂ ≤ ε‖w‖₂, random directions",
    "sharpness_filter": "Eq. (3), ‖δ_f‖₂ ≤ ε‖w_f‖₂ for each filter f, maximised",
    "sharpness_filter_random": "Eq. (3), ‖δ_f‖₂ ≤ ε‖w_f‖₂ for each filter f, random directions",
    "keskar_full": "Keskar's Metric 2.1, full space, percent",
    "keskar_subspace": "Keskar's Metric 2.1, random subspace, percent",
    "hessian_top": "largest eigenvalue of the Hessian",
    "hessian_trace": "trace of the Hessian",
    "gradient_variance": "Eq. (4), each B on the network that it trained, without replacement",
    "gradient_variance_one_network": "Eq. (4), all B on one network, without replacement",
    "gradient_variance_one_network_replaced": "Eq. (4), all B on one network, with replacement",
    "gradient_top_share": "part of Σ|g_i|² that the 1 % of samples with the largest gradients carry, "
    "first-layer weights, percent",
    "gradient_trace": "tr(Σ), variance of the gradient of one sample",
    "gradient_norm2": "|G|², squared norm of the true gradient",
    "noise_scale": "gradient noise scale tr(Σ)/|G|², samples",
}
# What the four readings of Eq. (3) move the weights in, by the part of the names above, for readers.
BALLS = {
    "l2": "Euclidean ball",
    "linf": "coordinate box",
    "relative": "norm-relative ball",
    "filter": "filter-wise ball",
}


def rows(run: Run, epoch: int, net: nn.Module, source: data.Data) -> list[dict]:
    """All that is measured of one network, a row for each value.

    Row: split, measure, value, n_samples, settings; for Eq. (4) also batch_size.
    """
    effort, found = EFFORT[run.dataset], []

    def add(split, name, value, n, settings="", **more):
        row = {"split": split, "measure": name, "value": float(value), "n_samples": n, "settings": settings}
        found.append(row | more)

    x, y = fixed_samples(source, "train", effort.n_noise)
    scale = gradient_noise.noise_scale(net, cross_entropy, x, y, effort.noise_batch)
    interval = f"jackknife 95 % {scale.scale.low:.4g} to {scale.scale.high:.4g}"
    how = f"mini-batches of {effort.noise_batch}, {interval}"
    add("train", "gradient_trace", scale.trace, len(y), how)
    add("train", "gradient_norm2", scale.norm2, len(y), how)
    add("train", "noise_scale", scale.scale.mean, len(y), how)
    if epoch in (0, run.epochs):
        share = gradient_noise.largest_share(net, cross_entropy, x, y)
        add("train", "gradient_top_share", 100 * share, len(y), "first-layer weights")
        _variances(add, run, epoch, net, source)
    if epoch == run.epochs:
        for split in ("train", "test"):
            _sharpness(add, split, net, *fixed_samples(source, split, effort.n), effort)
        _curvature(add, net, *fixed_samples(source, "train", effort.n), effort)
    return found


def _variances(add, run: Run, epoch: int, net: nn.Module, source: data.Data) -> None:
    def variance(b, replacement=False):
        seed = run.seed + 10_000 * b  # each size has draws of its own
        return gradient_noise.gradient_variance(
            net, cross_entropy, source.train_x, source.train_y, b, replacement=replacement, seed=seed
        )

    n, how = len(source.train_y), f"{gradient_noise.BATCHES} mini-batches, first-layer weights"
    if epoch:
        add("train", "gradient_variance", variance(run.batch_size), n, how)
    if run.batch_size == REFERENCE and run.lr_rule == "linear":
        for b in EFFORT[run.dataset].mini_batches:
            add("train", "gradient_variance_one_network", variance(b), n, how, batch_size=b)
            add("train", "gradient_variance_one_network_replaced", variance(b, True), n, how, batch_size=b)


def _sharpness(add, split: str, net: nn.Module, x, y, effort: Effort) -> None:
    with torch.inference_mode():
        piece = 500
        pieces = zip(x.split(piece), y.split(piece), strict=True)
        correct = sum(int((net(a).argmax(1) == b).sum()) for a, b in pieces)
    add(split, "accuracy", 100 * correct / len(y), len(y))
    for norm in sharpness.NORMS:
        found = sharpness.sharpness(net, cross_entropy, x, y, EPSILON, norm, **effort.ascent)
        best, worst = max(found.restarts), min(found.restarts)
        # None rises in a network that is dead, say.
        apart = f"{100 * (best - worst) / best:.2g} % apart" if best > 0 else "none rose"
        how = f"epsilon {EPSILON}, best {effort.restarts} of {effort.directions + 1} ascents, "
        how += f"{effort.steps} gradients, {apart}"
        add(split, f"sharpness_{norm}", found.value, len(y), how)
        how = f"epsilon {EPSILON}, largest of {effort.directions} directions"
        add(split, f"sharpness_{norm}_random", found.random, len(y), how)
    add(split, "loss", found.loss, len(y))


def _curvature(add, net: nn.Module, x, y, effort: Effort) -> None:
    for name, p in (("keskar_full", None), ("keskar_subspace", KESKAR_DIMENSIONS)):
        found = sharpness.keskar(net, cross_entropy, x, y, KESKAR_EPSILON, subspace=p)
        how = f"epsilon {KESKAR_EPSILON}, {sharpness.ITERATIONS} iterations of L-BFGS-B" + (
            f", {p} dimensions" if p else ""
        )
        add("train", name, found, len(y), how)
    top = hessian.top_eigenvalues(net, cross_entropy, x, y, iterations=effort.iterations)
    how = f"{effort.iterations} Lanczos steps, residual {top.residuals[0]:.2g}"
    add("train", "hessian_top", top.values[0], len(y), how)
    found = hessian.trace(net, cross_entropy, x, y, probes=effort.probes)
    how = f"{effort.probes} Hutchinson probes, ± {found.half_width:.2g}"
    add("train", "hessian_trace", found.mean, len(y), how)
    weights = torch.cat([p.detach().flatten() for p in net.parameters()])
    add("train", "weight_norm", weights.norm(), len(y))
