"""The curvature of the loss: largest eigenvalues and trace of its Hessian, which is never formed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..errors import whole
from ..statistics import Interval, mean_interval
from .objective import Objective, generator


@dataclass(frozen=True)
class Spectrum:
    """The largest eigenvalues, falling, and for each a bound on its distance to a true one."""

    values: tuple[float, ...]
    residuals: tuple[float, ...]


def top_eigenvalues(
    net: nn.Module,
    loss: Callable | None,
    inputs,
    targets,
    count: int = 1,
    *,
    iterations: int = 20,
    piece: int | None = None,
) -> Spectrum:
    """The `count` largest (most positive) eigenvalues of the loss's Hessian, by Lanczos.

    iterations  Hessian-vector products. Every new vector is made orthogonal to all before it, twice, so that
                rounding cannot bring an eigenvalue back as a copy. Fewer suffice where the Krylov space
                closes.

    Use a fixed, large sample: on single mini-batches the value scatters severalfold. Raises `BadInput` for
    what cannot be measured (see `objective.Objective`), and unless 1 <= count <= iterations <= P.
    """
    objective = Objective(net, loss, inputs, targets, piece)
    w, size = objective.start, len(objective.start)
    _ = objective.initial  # refused here if not finite
    whole("number of iterations", iterations, 1, size)
    whole("number of eigenvalues", count, 1, iterations)
    v = torch.randn(size, generator=generator(0)).to(w).double()
    basis, diagonal, off = [v / v.norm()], [], []
    for _ in range(iterations):
        u = objective.curvature(w, basis[-1].to(w.dtype)).double()
        diagonal.append(float(u @ basis[-1]))
        stack = torch.stack(basis)
        for _ in range(2):
            u -= stack.T @ (stack @ u)
        off.append(float(u.norm()))
        if off[-1] <= 1e-7 * max(map(abs, diagonal)):
            break
        basis.append(u / off[-1])
    values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(off[:-1], 1) + np.diag(off[:-1], -1))
    order = np.argsort(values)[::-1][:count]
    residuals = abs(off[-1] * vectors[-1])
    return Spectrum(tuple(values[order].tolist()), tuple(residuals[order].tolist()))


def trace(
    net: nn.Module, loss: Callable | None, inputs, targets, *, probes: int = 30, piece: int | None = None
) -> Interval:
    """Trace of the loss's Hessian by Hutchinson: the mean of vᵀHv over random v of ±1, with its interval.

    Batch normalization is held at its running averages, see `objective.Objective`. Raises `BadInput` for what
    cannot be measured and fewer than one probe.
    """
    whole("number of probes", probes, 1)
    objective = Objective(net, loss, inputs, targets, piece)
    draw, w, products = generator(0), objective.start, []
    _ = objective.initial  # refused here if not finite
    for _ in range(probes):
        v = (2 * torch.randint(0, 2, (len(w),), generator=draw) - 1).to(w)
        products.append(float((objective.curvature(w, v).double() * v.double()).sum()))
    return mean_interval(products)
