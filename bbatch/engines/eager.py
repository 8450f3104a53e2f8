"""The PyTorch engine: one epoch, or one evaluation, of any network on any device.

An engine knows nothing of epochs before or after, of histories, of files or of the paper's names.
"""

import inspect

import torch
from torch import nn

from .. import streams
from ..bfloat16 import layers_in_bf16
from ..data import CROP_PADDING, Data, random_crop_flip
from ..errors import BadInput
from ..models import Dropout, lay_masks
from ..recipe import Recipe

# Gradients of a batch of images are summed over pieces of this many samples: the same mathematics, but
# activations stay in cache and below the allocator's threshold for fresh, page-faulting memory (1.2-2.4 times
# faster at B = 512). Batches of features are small enough to stay whole.
PIECE = {"cpu": 32, "cuda": 4096}
EVALUATE_PIECE = {"cpu": 64, "cuda": 2048}
EVALUATE_FEATURES = 2048
# Images and their convolutions in memory. cuDNN is up to 1.4 times faster channel by channel in 32 bits.
LAYOUT = {"cpu": torch.channels_last, "cuda": torch.contiguous_format}


class TorchEngine:
    """Runs epochs of any network with eager PyTorch on any device; the network is its own."""

    name = "torch"

    def __init__(self, network: nn.Module, data: Data, recipe: Recipe, device: str):
        self.data, self.recipe, self.device = data, recipe, torch.device(device)
        self.seeds = streams.seeds_of(recipe.seed)
        net = network.to(self.device)
        self.net = net.to(memory_format=LAYOUT[self.device.type]) if data.stats else net
        self.dropouts = [m for m in net.modules() if isinstance(m, Dropout)]
        _refuse_small_batches(net, recipe)
        self.optimizer = self._make_optimizer()
        _refuse_closure(self.optimizer)
        whole = not data.stats or any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in net.modules())
        # batch normalization is over the batch, not over a piece of it
        self.piece = recipe.n_train if whole else PIECE[self.device.type]
        chosen = streams.subset(self.seeds, len(data.train_y), recipe.n_train)
        self.chosen = torch.from_numpy(chosen).to(self.device)

    def _make_optimizer(self) -> torch.optim.Optimizer:
        return self.recipe.optimizer(self.net.parameters(), float(self.recipe.rates(0)[0]))

    def train_epoch(self, epoch: int) -> tuple[float, int]:
        """One pass over the training samples; returns the summed loss and the count of right answers."""
        n, size = self.recipe.n_train, self.recipe.batch_size(epoch)
        order = self.chosen[torch.from_numpy(streams.order(self.seeds, epoch, n)).to(self.device)]
        generator = torch.Generator(self.device).manual_seed(streams.noise_seed(self.seeds, epoch))
        shifts, flips = self._augmentation(n, generator)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        self.net.train()
        for start, rate in zip(range(0, n, size), self.recipe.rates(epoch).tolist(), strict=True):
            stop = min(start + size, n)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.zero_grad(set_to_none=True)
            for a in range(start, stop, self.piece):
                b = min(a + self.piece, stop)
                x, y = self.data.train_x[order[a:b]], self.data.train_y[order[a:b]]
                if shifts is not None:
                    x = random_crop_flip(x, shifts[0, a:b], shifts[1, a:b], flips[a:b])
                lay_masks(self.dropouts, b - a, generator)
                logits = self._logits(x)
                loss = nn.functional.cross_entropy(logits, y, reduction="sum")
                (loss / (stop - start)).backward()
                loss_sum += loss.detach()
                correct += (logits.detach().argmax(1) == y).sum()
            self.optimizer.step()
        return float(loss_sum), int(correct)

    def _augmentation(self, n: int, generator: torch.Generator) -> tuple:
        """Shifts [2, n] and flips [n] of an epoch's images, drawn before its masks; else None twice."""
        if not self.data.augment:
            return None, None
        shifts = torch.randint(0, 2 * CROP_PADDING + 1, (2, n), generator=generator, device=self.device)
        return shifts, torch.randint(0, 2, (n,), generator=generator, device=self.device).bool()

    def evaluate(self, x: torch.Tensor, y: torch.Tensor) -> tuple[float, int]:
        """Summed loss and count of right answers in eval mode."""
        self.net.eval()
        loss, correct = 0.0, 0
        piece = EVALUATE_PIECE[self.device.type] if self.data.stats else EVALUATE_FEATURES
        with torch.inference_mode():
            for a in range(0, len(y), piece):
                logits, target = self._logits(x[a : a + piece]), y[a : a + piece]
                loss += nn.functional.cross_entropy(logits, target, reduction="sum").item()
                correct += int((logits.argmax(1) == target).sum())
        return loss, correct

    def estimate_averages(self) -> None:
        """Replace the running averages of batch normalization by those of the present weights: the mean over
        one pass of the training samples, in batches of the last epoch's size, nothing augmented or dropped
        ("precise" statistics, Wu and Johnson 2021, Section 3). Training averages over its last ten steps or
        so, and where weights still move fast these are of other weights.

        Raises `BadInput` for a network without batch normalization.
        """
        layers = [m for m in self.net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        if not layers:
            raise BadInput("the network has no batch normalization, so there are no averages to estimate.")
        self.net.eval()
        before = [layer.momentum for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # a plain mean over all batches
            layer.train()
        with torch.no_grad():
            for batch in self.chosen.split(self.recipe.batch_size(self.recipe.epochs - 1)):
                self._logits(self.data.train_x[batch])
        for layer, momentum in zip(layers, before, strict=True):
            layer.momentum = momentum
        self.net.eval()

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        low = self.recipe.precision == "bf16"
        with layers_in_bf16(self.device.type, enabled=low):
            return self.net(self.data.inputs(x)).float()

    def weights(self) -> dict[str, torch.Tensor]:
        return {k: v.detach().cpu().clone() for k, v in self.net.state_dict().items()}

    def state(self) -> dict:
        return {"weights": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict) -> None:
        self.net.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])


def _refuse_closure(optimizer: torch.optim.Optimizer) -> None:
    """Raise `BadInput` for an optimizer, such as LBFGS, whose step computes the loss by itself."""
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise BadInput(
            f"the optimizer {type(optimizer).__name__} needs a closure that computes the loss again; "
            "one whose step() needs nothing is allowed."
        )


def _refuse_small_batches(net: nn.Module, recipe: Recipe) -> None:
    """Raise `BadInput` for batches on which a layer cannot train: smaller than the `least_batch` that it
    asks for, or, with batch normalization of features, a last batch of one sample, which has no variance."""
    sizes = {recipe.batch_size(epoch) for epoch in range(recipe.epochs)}
    for layer in net.modules():
        kind, least = type(layer).__name__, getattr(layer, "least_batch", 1)
        if min(sizes) < least:
            raise BadInput(f"{kind} needs batches of {least} samples or more; {min(sizes)} were asked for.")
        if isinstance(layer, nn.BatchNorm1d) and any((recipe.n_train - 1) % b == 0 for b in sizes):
            raise BadInput(
                f"{kind} cannot train on one sample alone, and a batch would be that: {recipe.n_train} "
                f"samples in batches of {', '.join(map(str, sorted(sizes)))}; choose another batch size."
            )
