"""The loss of any network as a function of one flat vector of its parameters.

Samples are taken in pieces, so that memory grows neither with their number nor with that of the points asked
for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import torch
from torch import nn
from torch.func import functional_call

from ..config import LARGEST
from ..errors import BadInput, whole

# Samples at a time: as many as keep a piece's activations in cache. Larger pieces cost fresh memory.
PIECE = {"cpu": {"images": 32, "features": 10000}, "cuda": {"images": 1024, "features": 65536}}


class Objective:
    """L(w): mean loss of a network at the parameters w, a flat tensor [P], over a fixed set of samples.

    net      in eval mode, without batch normalisation: L must be a function of w and the samples alone
    loss     loss(outputs, targets) -> mean over the samples, such as `torch.nn.functional.cross_entropy`
    inputs   [n, ...] on the network's device; `targets` [n, ...]
    piece    samples at a time (on a CPU 32 images or 10,000 rows of features)

    `start`: the network's own w, its trainable parameters in their order; `shapes`: by name. The network
    itself is never changed. Raises `BadInput` for what cannot be measured.
    """

    def __init__(
        self,
        net: nn.Module,
        loss: Callable,
        inputs: torch.Tensor,
        targets: torch.Tensor,
        piece: int | None = None,
    ):
        check_measurable(net, loss, inputs, targets)
        self.net, self.loss, self.inputs, self.targets = net, loss, inputs, targets
        sizes = PIECE["cpu" if inputs.device.type == "cpu" else "cuda"]
        self.piece = piece or sizes["images" if inputs.dim() > 2 else "features"]
        self.shapes = {name: p.shape for name, p in net.named_parameters() if p.requires_grad}
        self.start = vector(net)

    @cached_property
    def initial(self) -> float:
        """L at the network's own weights. Raises `BadInput` where it is not finite."""
        return finite(self.value(self.start))

    def cut(self, w: torch.Tensor) -> dict[str, torch.Tensor]:
        """The flat w as parameters by name, views of it."""
        parts = w.split([shape.numel() for shape in self.shapes.values()])
        return {n: part.view(shape) for (n, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def pieces(self, parameters: dict[str, torch.Tensor], chosen: torch.Tensor | None = None):
        """The loss in parts that add up to it, over all samples or those with the indices `chosen`."""
        n = len(self.targets) if chosen is None else len(chosen)
        for a in range(0, n, self.piece):
            part = slice(a, a + self.piece) if chosen is None else chosen[a : a + self.piece]
            x, y = self.inputs[part], self.targets[part]
            try:
                part = self.loss(functional_call(self.net, parameters, (x,)), y)
            except (RuntimeError, TypeError, ValueError, IndexError) as error:
                if isinstance(error, torch.OutOfMemoryError) or "memory" in str(error):
                    raise
                why = " ".join(str(error).split()).rstrip(".")
                raise BadInput(
                    f"the loss cannot be computed ({why}); network, inputs, targets and loss must fit one "
                    "another."
                ) from error
            if not isinstance(part, torch.Tensor) or part.dim():
                raise BadInput(
                    "the loss gives more than one number; it must return the mean over the samples, a scalar."
                )
            yield part * (len(y) / n)

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
        leaves = [parameters[name].requires_grad_() for name in names or parameters]
        total, sums = 0.0, [torch.zeros_like(p) for p in leaves]
        for part in self.pieces(parameters, chosen):
            total += part.item()
            for total_g, g in zip(sums, torch.autograd.grad(part, leaves), strict=True):
                total_g += g
        return total, torch.cat([g.flatten() for g in sums])

    def curvature(self, w: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """The Hessian of L at w times v, [P]."""
        w = w.detach().clone().requires_grad_()
        product = torch.zeros_like(v)
        for part in self.pieces(self.cut(w)):
            (slope,) = torch.autograd.grad(part, w, create_graph=True)
            product += torch.autograd.grad(slope @ v, w)[0]
        return product


def vector(net: nn.Module) -> torch.Tensor:
    """A copy of a network's trainable parameters as one flat vector [P]. Raises `BadInput` without any."""
    parts = [p.detach().flatten() for p in net.parameters() if p.requires_grad]
    if not parts:
        raise BadInput("the network has no trainable parameter; there is nothing to move.")
    return torch.cat(parts)


def check_measurable(net: nn.Module, loss: Callable, inputs: torch.Tensor, targets: torch.Tensor) -> None:
    """Raise `BadInput` where the loss cannot be computed, or depends on more than the weights and samples."""
    for what, given, kind in (
        ("network", net, nn.Module),
        ("inputs", inputs, torch.Tensor),
        ("targets", targets, torch.Tensor),
    ):
        if not isinstance(given, kind):
            raise BadInput(
                f"a {type(given).__name__} was given as {what}; it must be a torch {kind.__name__}."
            )
    if not callable(loss):
        raise BadInput(f"the loss is {loss!r}; give a function of (outputs, targets), such as cross_entropy.")
    for name, module in net.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise BadInput(
                f"layer {name or 'itself'!r} is batch normalisation, whose running averages belong to the "
                "weights that they were gathered with; only networks without it can be measured."
            )
    if any(module.training for module in net.modules()):
        raise BadInput(
            "the network is in train mode, in which dropout makes its loss random; put it in eval mode first."
        )
    if len(inputs) != len(targets) or len(targets) == 0:
        raise BadInput(
            f"{len(inputs)} inputs and {len(targets)} targets are no samples; one target an input, and one "
            "sample or more, are allowed."
        )
    devices = {str(t.device) for t in (*net.parameters(), inputs, targets)}
    if len(devices) > 1:
        raise BadInput(
            f"the network and the samples are on {' and '.join(sorted(devices))}; they must be on one device."
        )


def finite(loss: float) -> float:
    """The loss at a network's own weights as it is. Raises `BadInput` where it is not finite."""
    if not math.isfinite(loss):
        raise BadInput(f"the loss at the network's weights is {loss}; only a finite loss can be measured.")
    return loss


def positive(what: str, value: float) -> None:
    """Raise `BadInput` unless `value` is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= LARGEST:
        raise BadInput(f"{what} is {value!r}; it must be a finite number above 0.")


def counts(**given) -> None:
    """Raise `BadInput` unless each of these, by name, is a whole number of at least 1."""
    for what, value in given.items():
        whole(f"number of {what}", value, 1)


def generator(seed: int, device) -> torch.Generator:
    """Random numbers that depend on the seed alone."""
    return torch.Generator(device).manual_seed(seed)
