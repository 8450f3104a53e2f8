"""The CUDA engine: one training step captured in a CUDA graph and replayed.

UNMEASURED: no GPU could be had while this was written. Its arithmetic is tested on the CPU, where the same step runs
eagerly; capture and replay, and every statement about their speed, wait for `make bench DEVICE=cuda`.

At small batches a GPU waits for the host to launch some fifty kernels a step. Here a step needs one launch: the
sample order, the augmentation and the learning rates of an epoch lie in buffers on the device, two counters there
say where the step stands, and the captured step moves them on itself. Within an epoch the host reads nothing back.

Several seeds (or batch sizes) side by side fill the rest of the card: train each in a thread of its own, as in
`sweep(runs, store, device="cuda", executor=ThreadPoolExecutor(5))`. Every engine replays on its own stream, so the
card runs them at once, and each computes exactly what it would compute alone.
"""

from __future__ import annotations

import threading

import torch
from torch import nn

from . import streams
from .config import Run
from .data import Data, random_crop_flip
from .engine import TorchEngine

# fp32 means fp32: PyTorch lets cuDNN round the inputs of convolutions to TF32, 10 bits of mantissa, unless told
# otherwise, and results would then not compare with the CPU's.
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False

WARM_UP = (
    3  # eager steps before capture: libraries choose kernels and allocate workspaces, which a graph must not
)
_ONE_CAPTURE = threading.Lock()  # PyTorch allows one capture at a time in a process


class GraphEngine(TorchEngine):
    """Runs epochs of any of the networks with one graph launch a step; on a CPU the same step runs eagerly.

    The last, partial batch has another shape than the graph: it runs eagerly, once an epoch. A batch is never cut
    into pieces here.
    """

    name = "cuda-graph"

    def __init__(self, run: Run, data: Data, device: str):
        super().__init__(run, data, device)
        n, on = run.n_train, {"device": self.device}
        if data.stats:
            self.mean, self.deviation = (255 * torch.tensor(s, dtype=torch.float32, **on) for s in data.stats)
        self.generator = torch.Generator(self.device)
        self.order = torch.zeros(n, dtype=torch.int64, **on)
        self.shifts, self.flips = (
            torch.zeros((2, n), dtype=torch.int64, **on),
            torch.zeros(n, dtype=torch.bool, **on),
        )
        self.rates = torch.zeros(run.steps_per_epoch, **on)
        self.offsets = torch.arange(run.batch_size, **on)
        self.sample, self.step = (
            torch.zeros((), dtype=torch.int64, **on) for _ in range(2)
        )  # where the epoch stands
        self.loss_sum = torch.zeros((), dtype=torch.float64, **on)
        self.correct = torch.zeros((), dtype=torch.int64, **on)
        self.rate = torch.zeros((), **on)
        self.optimizer = capturable_optimizer(self.net, run, self.rate)
        on_card = self.device.type == "cuda"
        self.stream = (
            torch.cuda.Stream(self.device) if on_card else None
        )  # entering no stream changes nothing
        self.full_step = self._captured() if on_card else lambda: self._step(run.batch_size)

    def train_epoch(self, epoch: int) -> tuple[float, int]:
        with torch.cuda.stream(self.stream):
            return self._train_epoch(epoch)

    def evaluate(self, x: torch.Tensor, y: torch.Tensor) -> tuple[float, int]:
        with torch.cuda.stream(self.stream):
            return super().evaluate(x, y)

    def _train_epoch(self, epoch: int) -> tuple[float, int]:
        run, n = self.run, self.run.n_train
        self.order.copy_(self.chosen[torch.from_numpy(streams.order(self.seeds, epoch, n)).to(self.device)])
        first = epoch * run.steps_per_epoch
        self.rates.copy_(torch.tensor([run.rate(first + s) for s in range(run.steps_per_epoch)]))
        self.generator.manual_seed(streams.noise_seed(self.seeds, epoch))
        if self.data.augment:
            self.shifts.copy_(torch.randint(0, 9, (2, n), generator=self.generator, device=self.device))
            self.flips.copy_(torch.randint(0, 2, (n,), generator=self.generator, device=self.device))
        for counter in (self.sample, self.step, self.loss_sum, self.correct):
            counter.zero_()
        self.net.train()
        full, rest = divmod(n, run.batch_size)
        for _ in range(full):
            self.full_step()
        if rest:
            self._step(rest)
        return self.loss_sum.item(), self.correct.item()  # the only synchronisation

    def _step(self, size: int) -> None:
        """Train on the next `size` samples of the epoch. Nothing here waits for the device or depends on its values."""
        where = self.sample + self.offsets[:size]
        chosen = self.order[where]
        x, y = self.data.train_x[chosen], self.data.train_y[chosen]
        if self.data.augment:
            x = random_crop_flip(x, self.shifts[0, where], self.shifts[1, where], self.flips[where])
        self._lay_masks(size, self.generator)
        self.rate.copy_(self.rates.take(self.step))  # `rates[step]` would read the step on the host
        self.optimizer.zero_grad(set_to_none=True)
        logits = self._logits(x)
        loss = nn.functional.cross_entropy(logits, y, reduction="sum")
        (loss / size).backward()
        self.optimizer.step()
        self.loss_sum += loss.detach()
        self.correct += (logits.detach().argmax(1) == y).sum()
        self.sample += size
        self.step += 1

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        # as `Data.inputs`, but with constants that already lie on the device: copying them there would synchronise
        if self.data.stats:
            x = ((x.float() - self.mean) / self.deviation).permute(0, 3, 1, 2)
        low = self.run.precision == "bf16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=low, cache_enabled=False):
            return self.net(x).float()

    def _captured(self):
        """Capture one full step; returns what replays it. Weights and optimizer are left as they were."""
        size, graph = self.run.batch_size, torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        torch.cuda.synchronize(self.device)
        self.net.train()
        with _ONE_CAPTURE, torch.cuda.stream(self.stream), torch.no_grad():
            before = [p.clone() for p in self.net.parameters()]
            with torch.enable_grad():
                for _ in range(WARM_UP):
                    self._step(size)
                    self.sample.zero_()
                    self.step.zero_()
                with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                    self._step(size)
            for p, value in zip(self.net.parameters(), before):
                p.copy_(value)
                for moment in self.optimizer.state[p].values():
                    moment.zero_()  # as before the first step: Adam's moments and step count, SGD's momentum
            self.stream.synchronize()
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


def capturable_optimizer(net: nn.Module, run: Run, rate: torch.Tensor) -> torch.optim.Optimizer:
    """The optimizer of `engine.make_optimizer`, with a float32 tensor for its learning rate and nothing on the host."""
    if run.optimizer == "adam":
        return torch.optim.Adam(
            net.parameters(), rate, weight_decay=run.weight_decay, fused=True, capturable=rate.is_cuda
        )
    return torch.optim.SGD(net.parameters(), rate, run.momentum, weight_decay=run.weight_decay, fused=True)
