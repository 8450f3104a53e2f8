"""The engine of the synthetic network: epochs through the compiled loop of `kernels`.

Draws come from the same streams as in `eager.TorchEngine`, so both engines visit the same samples with the
same masks and differ by rounding alone.
"""

import numpy as np
import torch
from torch import nn

from .. import streams
from ..data import Data
from ..models import Dropout
from ..recipe import Recipe
from .eager import TorchEngine
from .kernels import epoch_of_adam, views


def compiles(network: nn.Module, data: Data, recipe: Recipe) -> bool:
    """Whether network, optimizer and recipe are exactly what `epoch_of_adam` computes."""
    kinds = [nn.Linear, nn.ReLU, Dropout, nn.Linear, nn.ReLU, Dropout, nn.Linear]
    if type(network) is not nn.Sequential or [type(m) for m in network] != kinds or data.stats:
        return False
    linear, dropouts = network[::3], (network[2], network[5])
    plain = all(m.bias is not None and m.weight.dtype == torch.float32 for m in linear)
    if not plain or dropouts[0].p != dropouts[1].p or recipe.precision != "fp32":
        return False
    optimizer = recipe.optimizer(network.parameters(), 1.0)
    expected = torch.optim.Adam([torch.zeros(1)], 1.0).defaults
    same = all(optimizer.defaults.get(k) == v for k, v in expected.items() if k not in ("fused", "foreach"))
    if type(optimizer) is not torch.optim.Adam or not same or len(optimizer.param_groups) > 1:
        return False
    # the rate is one for all steps of an epoch
    return all(np.ptp(recipe.rates(epoch)) == 0 for epoch in range(recipe.epochs))


class CompiledEngine(TorchEngine):
    """Runs epochs of the synthetic network through `epoch_of_adam`; evaluates like its parent.

    The network's parameters are views into the kernel's flat array, so both always see the same weights.
    """

    name = "compiled"

    def __init__(self, network: nn.Module, data: Data, recipe: Recipe, device: str):
        super().__init__(network, data, recipe, device)
        layers = [m for m in self.net.children() if isinstance(m, nn.Linear)]
        self.widths = (*(m.in_features for m in layers), layers[-1].out_features)
        self.flat = np.concatenate(
            [a for m in layers for a in (m.weight.detach().numpy().T.ravel(), m.bias.detach().numpy())]
        )
        parts = views.py_func(self.flat, *self.widths)
        for layer, weight, bias in zip(layers, parts[::2], parts[1::2], strict=True):
            layer.weight.data, layer.bias.data = torch.from_numpy(weight).T, torch.from_numpy(bias)
        self.moments = np.zeros((2, self.flat.size), np.float32)
        self.steps = 0

    def train_epoch(self, epoch: int) -> tuple[float, int]:
        recipe, n, rates = self.recipe, self.recipe.n_train, self.recipe.rates(epoch)
        order = self.chosen.numpy()[streams.order(self.seeds, epoch, n)]
        generator = torch.Generator().manual_seed(streams.noise_seed(self.seeds, epoch))
        bits = streams.noise_bits((n, self.widths[1] + self.widths[2]), generator).numpy()
        # Moments of dead units decay into denormal numbers, on which a processor takes ten times as long; 0
        # will do: next to Adam's epsilon neither moves a weight by a bit.
        torch.set_flush_denormal(True)
        try:
            loss, correct = epoch_of_adam(
                self.flat,
                self.moments,
                self.widths,
                self.data.train_x.numpy(),
                self.data.train_y.numpy(),
                order,
                bits,
                self.dropouts[0].p,
                recipe.batch_size(epoch),
                float(rates[0]),
                self.steps,
            )
        finally:
            torch.set_flush_denormal(False)
        self.steps += len(rates)
        return loss, correct

    def state(self) -> dict:
        return {
            "flat": torch.from_numpy(self.flat),
            "moments": torch.from_numpy(self.moments),
            "steps": self.steps,
        }

    def restore(self, state: dict) -> None:
        self.flat[:], self.moments[:], self.steps = (
            state["flat"].numpy(),
            state["moments"].numpy(),
            state["steps"],
        )
