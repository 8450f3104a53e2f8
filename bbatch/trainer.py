"""The trainer: one loop over epochs, and the engine that runs an epoch with PyTorch.

`train` knows epochs, histories, checkpoints and divergence. An engine knows how to run one epoch and how to
evaluate; which engine serves a run is decided in `engine_for`, and nothing else in the package knows.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import streams
from .config import DATASETS, Run
from .data import Data, random_crop_flip
from .models import Dropout, build

# Gradients of a batch are summed over pieces of this many samples: the same mathematics, but activations stay in
# cache and below the allocator's threshold for fresh, page-faulting memory (1.2-2.4 times faster at B = 512).
PIECE = {"cpu": 32, "cuda": 4096}
EVALUATE_PIECE = {"cpu": 64, "cuda": 2048}


@dataclass
class Outcome:
    """What training gives.

    `history`: a list an epoch under each key: `train_loss` (mean over the epoch, dropout and augmentation on,
    weights moving), `train_correct` (count, likewise: the running training accuracy), `test_loss`,
    `test_correct` (count, eval mode), and `seconds`, `evaluate_seconds` (monotonic clock).
    `final`: `train_loss`, `train_correct` in eval mode on the clean training samples, `test_loss`,
    `test_correct`, and `diverged_epoch` (1-based epoch of the first NaN or infinite training loss, or None).
    A diverged run stops there and is scored as it stands: a network of NaNs always answers class 0.
    """

    history: dict[str, list] = field(default_factory=dict)
    final: dict = field(default_factory=dict)
    engine: str = ""
    weights: dict | None = None


class TorchEngine:
    """Runs epochs of any of the networks with eager PyTorch on any device."""

    name = "torch"

    def __init__(self, run: Run, data: Data, device: str):
        self.run, self.data, self.device = run, data, torch.device(device)
        self.seeds = streams.seeds_of(run.seed)
        net = build(DATASETS[run.dataset].network, self.seeds.init).to(self.device)
        self.net = net.to(memory_format=torch.channels_last) if data.stats else net
        self.dropouts = [m for m in self.net if isinstance(m, Dropout)]
        self.optimizer = make_optimizer(self.net, run)
        self.chosen = torch.from_numpy(streams.subset(self.seeds, len(data.train_y), run.n_train)).to(self.device)

    def train_epoch(self, epoch: int) -> tuple[float, int]:
        """One pass over the training samples; returns the summed loss and the count of right answers."""
        run, n = self.run, self.run.n_train
        order = self.chosen[torch.from_numpy(streams.order(self.seeds, epoch, n)).to(self.device)]
        generator = torch.Generator(self.device).manual_seed(streams.noise_seed(self.seeds, epoch))
        shifts = torch.randint(0, 9, (2, n), generator=generator, device=self.device) if self.data.augment else None
        flips = torch.randint(0, 2, (n,), generator=generator, device=self.device).bool() if self.data.augment else None
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        self.net.train()
        for step, start in enumerate(range(0, n, run.batch_size)):
            stop = min(start + run.batch_size, n)
            self.optimizer.param_groups[0]["lr"] = run.rate(epoch * run.steps_per_epoch + step)
            self.optimizer.zero_grad(set_to_none=True)
            for a in range(start, stop, PIECE[self.device.type]):
                b = min(a + PIECE[self.device.type], stop)
                x, y = self.data.train_x[order[a:b]], self.data.train_y[order[a:b]]
                if shifts is not None:
                    x = random_crop_flip(x, shifts[0, a:b], shifts[1, a:b], flips[a:b])
                self._lay_masks(b - a, generator)
                logits = self._logits(x)
                loss = nn.functional.cross_entropy(logits, y, reduction="sum")
                (loss / (stop - start)).backward()
                loss_sum += loss.detach()
                correct += (logits.detach().argmax(1) == y).sum()
            self.optimizer.step()
        return loss_sum.item(), correct.item()

    def evaluate(self, x: torch.Tensor, y: torch.Tensor) -> tuple[float, int]:
        """Summed loss and count of right answers in eval mode."""
        self.net.eval()
        loss, correct, piece = 0.0, 0, EVALUATE_PIECE[self.device.type]
        with torch.inference_mode():
            for a in range(0, len(y), piece):
                logits, target = self._logits(x[a:a + piece]), y[a:a + piece]
                loss += nn.functional.cross_entropy(logits, target, reduction="sum").item()
                correct += (logits.argmax(1) == target).sum().item()
        return loss, correct

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        low = self.run.precision == "bf16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=low):
            return self.net(self.data.inputs(x)).float()

    def _lay_masks(self, n: int, generator: torch.Generator) -> None:
        if self.dropouts:
            widths = [math.prod(d.shape) for d in self.dropouts]
            bits = streams.noise_bits((n, sum(widths)), generator)
            for layer, part in zip(self.dropouts, bits.split(widths, dim=1)):
                layer.cut_mask(part)

    def weights(self) -> dict[str, torch.Tensor]:
        return {k: v.detach().cpu().clone() for k, v in self.net.state_dict().items()}

    def state(self) -> dict:
        return {"weights": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict) -> None:
        self.net.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])


def make_optimizer(net: nn.Module, run: Run) -> torch.optim.Optimizer:
    """Adam (PyTorch's default betas and epsilon: the paper names none) or SGD with momentum."""
    if run.optimizer == "adam":
        return torch.optim.Adam(net.parameters(), run.lr, weight_decay=run.weight_decay, fused=True)
    return torch.optim.SGD(net.parameters(), run.lr, run.momentum, weight_decay=run.weight_decay, fused=True)


def engine_for(run: Run, data: Data, device: str):
    """The fastest engine that can serve the run."""
    return TorchEngine(run, data, device)


def train(run: Run, data: Data, device: str = "cpu", checkpoint: "Checkpoint | None" = None) -> Outcome:
    """Train one run to its end, from its last checkpoint where there is one.

    The outcome does not depend on whether, or where, the run was interrupted.
    """
    engine = engine_for(run, data, device)
    history: dict[str, list] = {k: [] for k in ("train_loss", "train_correct", "test_loss", "test_correct",
                                                "seconds", "evaluate_seconds")}
    if checkpoint and (saved := checkpoint.read()):
        history = saved["history"]
        engine.restore(saved["engine"])
    diverged = None
    for epoch in range(len(history["seconds"]), run.epochs):
        begun = time.perf_counter()
        loss, correct = engine.train_epoch(epoch)
        trained = time.perf_counter()
        test_loss, test_correct = engine.evaluate(data.test_x, data.test_y)
        values = (loss / run.n_train, correct, test_loss / len(data.test_y), test_correct,
                  trained - begun, time.perf_counter() - trained)
        for key, value in zip(history, values):
            history[key].append(value)
        if not math.isfinite(loss):
            diverged = epoch + 1
            break
        if checkpoint and epoch + 1 < run.epochs:
            checkpoint.write(epoch + 1, {"history": history, "engine": engine.state()})
    chosen = torch.from_numpy(streams.subset(streams.seeds_of(run.seed), len(data.train_y), run.n_train))
    train_loss, train_correct = engine.evaluate(data.train_x[chosen.to(data.train_x.device)],
                                                data.train_y[chosen.to(data.train_y.device)])
    final = {"train_loss": train_loss / run.n_train, "train_correct": train_correct,
             "test_loss": history["test_loss"][-1], "test_correct": history["test_correct"][-1],
             "diverged_epoch": diverged}
    return Outcome(history, final, engine.name, engine.weights())


class Checkpoint:
    """The state of one unfinished run: a file named by the run's key and the epochs done."""

    def __init__(self, folder: Path, key: str):
        self.folder, self.key = folder, key

    def files(self) -> list[Path]:
        """This run's checkpoint files, oldest first."""
        return sorted(self.folder.glob(f"{self.key}.*.pt"))

    def write(self, epochs_done: int, state: dict) -> None:
        """Put the new state in place, then drop the older ones: a kill at any moment leaves a whole file."""
        older = self.files()
        part = self.folder / f".{self.key}.{os.getpid()}.part"
        torch.save(state, part)
        os.replace(part, self.folder / f"{self.key}.{epochs_done:05d}.pt")
        for path in older:
            path.unlink(missing_ok=True)

    def read(self) -> dict | None:
        """The newest state, or None. Only tensors and plain values are ever loaded."""
        files = self.files()
        return torch.load(files[-1], weights_only=True) if files else None

    def drop(self) -> None:
        for path in self.files():
            path.unlink(missing_ok=True)
