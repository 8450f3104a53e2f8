"""The loss of any network as a function of one flat vector of its parameters.

Samples are taken in pieces, so that memory grows neither with their number nor with that of the points asked
for. What the network is called with and what its loss is, `adapter` says: inputs may be tensors, tuples or
dicts, losses functions of (outputs, targets) or of (model, batch).
"""

import contextlib
import math
from collections.abc import Callable
from functools import cached_property

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..adapter import Adapter
from ..errors import BadInput
from ..nests import leaves, mapped

# Samples at a time: as many as keep a piece's activations in cache. Larger ones cost fresh, page-faulting
# memory.
PIECE = {"cpu": {"images": 32, "features": 10000}, "cuda": {"images": 1024, "features": 65536}}


class Objective:
    """L(w): mean loss of a network at the parameters w, a flat tensor [P], over a fixed set of samples.

    net      in eval mode: L must be a function of w and the samples alone
    loss     loss(outputs, targets) -> mean over the samples given, such as
             `torch.nn.functional.cross_entropy`; or loss(model, batch), see `adapter.Adapter`; None: the
             model's own `.loss`, else cross-entropy
    inputs   [n, ...] on the network's device, or a tuple or dict of such tensors
    targets  [n, ...], or such a nest; None where the inputs are whole batches
    piece    samples at a time (on a CPU 32 images or 10,000 rows of features)

    `start`: the network's own w; `shapes`: by name, in the network's order. The network itself is never
    changed. Batch normalization keeps the running averages that it has, as in Li et al. 2018 and PyHessian:
    in training they would move along with w. For averages of the samples themselves, at every w, take them
    away (`running_mean = running_var = None`) and make `piece` the number of samples. Raises `BadInput` for
    what cannot be measured.
    """

    def __init__(self, net: nn.Module, loss: Callable | None, inputs, targets, piece: int | None = None):
        self.batch = inputs if targets is None else (inputs, targets)
        self.net, self.adapter = net, Adapter(loss)
        check_measurable(net, inputs, targets)
        first = next(leaves(self.batch))[1]
        self.count, self.device = len(first), first.device
        sizes = PIECE["cpu" if self.device.type == "cpu" else "cuda"]
        self.piece = piece or sizes["images" if first.dim() > 2 else "features"]
        parameters = trainable(net)
        self.shapes = {name: p.shape for name, p in parameters.items()}
        self.start = torch.cat([p.detach().flatten() for p in parameters.values()])
        self.whole = _Whole(net, self.adapter)

    @cached_property
    def initial(self) -> float:
        """L at the network's own weights. Raises `BadInput` where it is not finite."""
        return finite(self.value(self.start))

    def cut(self, w: torch.Tensor) -> dict[str, torch.Tensor]:
        """The flat w as parameters by name, views of it."""
        parts = w.split([shape.numel() for shape in self.shapes.values()])
        return {
            name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def take(self, index: torch.Tensor | slice):
        """Samples as a batch."""
        return mapped(lambda t: t[index], self.batch)

    def of(self, parameters: dict[str, torch.Tensor], batch) -> torch.Tensor:
        """The mean loss of a batch with these parameters, a scalar."""
        return functional_call(self.whole, {f"net.{k}": v for k, v in parameters.items()}, (batch,))

    def pieces(self, parameters: dict[str, torch.Tensor], chosen: torch.Tensor | None = None):
        """The loss in parts that add up to it, over all samples or those with the indices `chosen`."""
        n = self.count if chosen is None else len(chosen)
        for a in range(0, n, self.piece):
            part = slice(a, a + self.piece) if chosen is None else chosen[a : a + self.piece]
            yield self.of(parameters, self.take(part)) * (min(self.piece, n - a) / n)

    def value(self, w: torch.Tensor) -> float:
        """L(w)."""
        with torch.inference_mode():
            return sum(part.item() for part in self.pieces(self.cut(w)))

    def gradient(
        self, w: torch.Tensor, chosen: torch.Tensor | None = None, names=None
    ) -> tuple[float, torch.Tensor]:
        """L(w) and its gradient [P], or that of the parameters `names` alone, one after another.

        Over all samples, or those with the indices `chosen`.
        """
        parameters = {name: p.detach() for name, p in self.cut(w).items()}
        leaf = [parameters[name].requires_grad_() for name in names or parameters]
        total, sums = 0.0, [torch.zeros_like(p) for p in leaf]
        for part in self.pieces(parameters, chosen):
            total += part.item()
            for total_g, g in zip(sums, torch.autograd.grad(part, leaf), strict=True):
                total_g += g
        return total, torch.cat([g.flatten() for g in sums])

    def curvature(self, w: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """The Hessian of L at w times v, [P]."""
        w = w.detach().clone().requires_grad_()
        product = torch.zeros_like(v)
        with twice_differentiable(self.net):
            for part in self.pieces(self.cut(w)):
                (slope,) = torch.autograd.grad(part, w, create_graph=True)
                product += torch.autograd.grad(slope @ v, w)[0]
        return product


class _Whole(nn.Module):
    """A network with its loss as one module, so that both see the parameters that are put in their place."""

    def __init__(self, net: nn.Module, adapter: Adapter):
        super().__init__()
        self.net, self.adapter = net, adapter
        self.training = False

    def forward(self, batch) -> torch.Tensor:
        return self.adapter(self.net, batch).loss


@contextlib.contextmanager
def twice_differentiable(net: nn.Module):
    """Kernels that have a second derivative: those of fused attention and recurrent layers have none."""
    fused = (
        [torch.backends.mkldnn, torch.backends.cudnn]
        if any(isinstance(m, nn.RNNBase) for m in net.modules())
        else []
    )
    before = [library.set_flags(False)[0] for library in fused]
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        for library, enabled in zip(fused, before, strict=True):
            library.set_flags(enabled)


def trainable(net: nn.Module) -> dict[str, nn.Parameter]:
    """The trainable parameters by name. Raises `BadInput` without any."""
    found = {name: p for name, p in net.named_parameters() if p.requires_grad}
    if not found:
        raise BadInput("the network has no trainable parameter; there is nothing to move.")
    return found


def vector(net: nn.Module) -> torch.Tensor:
    """A copy of a network's trainable parameters as one flat vector [P]. Raises `BadInput` without any."""
    return torch.cat([p.detach().flatten() for p in trainable(net).values()])


def check_measurable(net: nn.Module, inputs, targets) -> None:
    """Raise `BadInput` for what is no network or no samples, or where the loss would depend on more than the
    two."""
    if not isinstance(net, nn.Module):
        raise BadInput(f"a {type(net).__name__} was given as network; it must be a torch Module.")
    for what, given in (("inputs", inputs), ("targets", targets)):
        if given is not None and not any(True for _ in leaves(given)):
            raise BadInput(
                f"a {type(given).__name__} was given as {what}; it must be a torch Tensor, or a nest of them."
            )
    if any(module.training for module in net.modules()):
        raise BadInput(
            "the network is in train mode, in which dropout makes its loss random; put it in eval mode first."
        )
    tensors = [t for part in (inputs, targets) for _, t in leaves(part)]
    counts = {len(t) if t.dim() else 0 for t in tensors}
    if len(counts) != 1 or counts == {0}:
        raise BadInput(
            f"{_rows(inputs)} inputs and {_rows(targets)} targets are no samples; one target an input, and "
            "one sample or more, are allowed."
        )
    devices = {str(t.device) for t in (*net.parameters(), *tensors)}
    if len(devices) > 1:
        raise BadInput(
            f"the network and the samples are on {' and '.join(sorted(devices))}; they must be on one device."
        )


def _rows(part) -> str:
    """How many rows a nest has; where its tensors differ, each of them."""
    found = dict.fromkeys(len(t) if t.dim() else 0 for _, t in leaves(part))
    return " or ".join(map(str, found)) or "no"


def finite(loss: float) -> float:
    """The loss at a network's own weights as it is. Raises `BadInput` where it is not finite."""
    if not math.isfinite(loss):
        raise BadInput(f"the loss at the network's weights is {loss}; only a finite loss can be measured.")
    return loss


def generator(seed: int) -> torch.Generator:
    """Random numbers that depend on the seed alone: drawn on the CPU, whatever the device is."""
    return torch.Generator().manual_seed(seed)
