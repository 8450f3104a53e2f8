"""The CUDA engine: training steps captured in a CUDA graph and replayed.

At small batches a GPU waits for the host to launch some fifty kernels a step. Here many steps need one
launch: the epoch's samples (in order, augmented, normalized), its learning rates and the outputs lie in
buffers on the device, two counters there say where the epoch stands, and each captured step moves them on
itself. Within an epoch the host reads nothing back.

Several seeds (or batch sizes) side by side fill the rest of the card: train each in a thread of its own, as
`python -m benchmarks.gpu` does. Every engine replays on its own stream, so the card runs them at once, and
each computes exactly what it would compute alone. Epoch times of such runs are not those of one alone, so
their records have to say how many ran (`side_by_side`).
"""

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from .. import streams
from ..bfloat16 import layers_in_bf16
from ..data import Data, random_crop_flip
from ..models import lay_masks
from ..recipe import Recipe
from .eager import TorchEngine

# fp32 means fp32: PyTorch lets cuDNN round the inputs of convolutions to TF32, 10 bits of mantissa, unless
# told otherwise, and results would then not compare with the CPU's.
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
# Equal runs give equal bits: the weight gradients that cuDNN prefers add up in whatever order the card takes,
# and trying kernels out (`benchmark`) may choose others the next time.
torch.backends.cudnn.deterministic = True
torch.backends.cudnn.benchmark = False

WARM_UP = 3  # eager steps before capture, so that libraries allocate their workspaces outside the graph
CHAIN = 8  # steps in a long graph: its launch costs the host what one step's does
IN_FLIGHT = 128  # launches ahead of the card; a queue that is full would hold up the other threads, too
PREPARED = 4096  # samples augmented at once
CAPTURED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)  # state at zero, and on the device
_ONE_CAPTURE = threading.Lock()  # PyTorch allows one capture at a time in a process


def captures(network: nn.Module, recipe: Recipe, device: str) -> bool:
    """Whether the steps of this recipe can be captured: one batch size, and an optimizer of one group of
    parameters, whose state starts at zero and stays on the device."""
    optimizer = recipe.optimizer(network.parameters(), torch.ones((), device=device))
    kind, capturable = type(optimizer), optimizer.defaults.get("capturable", True)
    one_size = len({recipe.batch_size(epoch) for epoch in range(recipe.epochs)}) == 1
    one_group = len(optimizer.param_groups) == 1  # a checkpoint numbers its state in the groups' order
    return one_size and one_group and capturable and kind in CAPTURED


class GraphEngine(TorchEngine):
    """Runs epochs of any network with one graph launch for many steps; on a CPU the same steps run eagerly.

    The last, partial batch has another shape, and a graph of its own. A batch is never cut into pieces here.
    """

    name = "cuda-graph"

    def __init__(self, network: nn.Module, data: Data, recipe: Recipe, device: str):
        on = torch.device(device)
        self.rate = torch.zeros((), device=on)
        super().__init__(network, data, recipe, device)
        n, size = recipe.n_train, recipe.batch_size(0)
        self.generator = torch.Generator(self.device)
        one = data.inputs(data.train_x[:1])
        with torch.no_grad():
            outputs = self.net.eval()(one).shape[1]
        # the epoch's inputs, in its order
        self.x = torch.zeros((n, *one.shape[1:]), dtype=one.dtype, device=on)
        self.y = torch.zeros(n, dtype=torch.int64, device=on)
        self.rates = torch.zeros(len(recipe.rates(0)), device=on)
        self.logits = torch.zeros((n, outputs), device=on)
        self.where = torch.zeros(size, dtype=torch.int64, device=on)  # the samples of the next batch
        self.step = torch.zeros((), dtype=torch.int64, device=on)
        # of a sample in its batch
        self.share = {k: torch.tensor(1 / k, device=on) for k in (size, n % size) if k}
        self.stream: Any = None  # a stream of CUDA; entering none changes nothing
        self.last: Callable[[], None] | None
        if self.device.type == "cuda":
            # A small step waits for no large one: its kernels go first wherever a multiprocessor is free.
            self.stream = torch.cuda.Stream(self.device, priority=-1 if size < 32 else 0)
            self.replays, self.last = self._captured()
        else:
            self.replays = {1: lambda: self._step(size)}
            self.last = lambda: self._step(n % size)

    def _make_optimizer(self) -> torch.optim.Optimizer:
        return self.recipe.optimizer(self.net.parameters(), self.rate)

    def train_epoch(self, epoch: int) -> tuple[float, int]:
        with torch.cuda.stream(self.stream):
            return self._train_epoch(epoch)

    def evaluate(self, x: torch.Tensor, y: torch.Tensor) -> tuple[float, int]:
        with torch.cuda.stream(self.stream):
            return super().evaluate(x, y)

    def estimate_averages(self) -> None:
        with torch.cuda.stream(self.stream):
            super().estimate_averages()

    def _train_epoch(self, epoch: int) -> tuple[float, int]:
        self._prepare(epoch)
        self.net.train()
        left, rest = divmod(self.recipe.n_train, self.recipe.batch_size(epoch))
        for steps, replay in sorted(self.replays.items(), reverse=True):
            launches, left = divmod(left, steps)
            for k in range(1, launches + 1):
                replay()
                if self.stream and k % IN_FLIGHT == 0:
                    self.stream.synchronize()
        if rest and self.last:
            self.last()
        loss = nn.functional.cross_entropy(self.logits.double(), self.y, reduction="sum")
        return float(loss), int((self.logits.argmax(1) == self.y).sum())

    def _prepare(self, epoch: int) -> None:
        """Fill the buffers with what the steps of this epoch read."""
        n = self.recipe.n_train
        order = self.chosen[torch.from_numpy(streams.order(self.seeds, epoch, n)).to(self.device)]
        self.generator.manual_seed(streams.noise_seed(self.seeds, epoch))
        shifts, flips = self._augmentation(n, self.generator)
        for a in range(0, n, PREPARED):
            part = slice(a, a + PREPARED)
            x = self.data.train_x[order[part]]
            if self.data.augment:
                x = random_crop_flip(x, shifts[0, part], shifts[1, part], flips[part])
            self.x[part] = self.data.inputs(x)
        self.y.copy_(self.data.train_y[order])
        self.rates.copy_(torch.from_numpy(self.recipe.rates(epoch)))
        torch.arange(len(self.where), out=self.where)
        self.step.zero_()

    def _step(self, size: int) -> None:
        """Train on the next `size` samples. Nothing here waits for the device or depends on its values."""
        where = self.where[:size]
        x, y = self.x[where], self.y[where]
        lay_masks(self.dropouts, size, self.generator)
        torch.take(self.rates, self.step, out=self.rate)  # `rates[step]` would read the step on the host
        self.optimizer.zero_grad(set_to_none=True)
        # rounded weights are not kept: a graph would read the stale ones
        low = self.recipe.precision == "bf16"
        with layers_in_bf16(self.device.type, enabled=low, keep_weights=False):
            logits = self.net(x).float()
        loss = nn.functional.cross_entropy(logits, y, reduction="sum")
        loss.backward(self.share[size])
        self.optimizer.step()
        self.logits.index_copy_(0, where, logits.detach())
        self.where += size
        self.step += 1

    def _captured(self) -> tuple[dict, Callable | None]:
        """Capture one full step, and a chain of them where an epoch has many: number of steps to what replays
        them, and what replays the last, partial batch, where there is one.

        Weights, buffers and optimizer are left as they were.
        """
        size = len(self.where)
        full, rest = divmod(self.recipe.n_train, size)
        replays = {}
        with _ONE_CAPTURE, torch.cuda.stream(self.stream):
            torch.cuda.synchronize(self.device)
            self.net.train()
            before = {name: value.clone() for name, value in self.net.state_dict().items()}
            for _ in range(WARM_UP):
                self._step(size)
                self.where.zero_()
                self.step.zero_()
            for steps in {1, CHAIN if full >= CHAIN else 1}:
                replays[steps] = self._graph(size, steps)
            last = self._graph(rest, 1) if rest else None
            self.net.load_state_dict(before)
            for p in self.net.parameters():
                for moment in self.optimizer.state[p].values():
                    moment.zero_()  # as before the first step: Adam's moments and step count, SGD's momentum
            self.stream.synchronize()
        return replays, last

    def _graph(self, size: int, steps: int):
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            for _ in range(steps):
                self._step(size)
        return graph.replay

    def restore(self, state: dict) -> None:
        """Copy a saved state in place: the graph holds the addresses of weights, moments and step counts."""
        self.net.load_state_dict(state["weights"])
        if not self.optimizer.state:  # on a CPU, before the first step
            self.optimizer.load_state_dict(state["optimizer"])
            self.optimizer.param_groups[0]["lr"] = self.rate
            return
        for number, p in enumerate(self.net.parameters()):
            for name, value in state["optimizer"]["state"].get(number, {}).items():
                self.optimizer.state[p][name].copy_(value)
