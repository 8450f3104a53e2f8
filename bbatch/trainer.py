"""The trainer: one loop over epochs with history, divergence and checkpoints.

Which engine runs the epochs is decided in `engines.fastest_engine`; nothing else in the package knows, and
the record says which it was.
"""

import copy
import io
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from .config import Run
from .data import Data
from .engines import TorchEngine, fastest_engine
from .files import seal, set_aside, unseal, write_whole
from .recipe import Recipe, network_of, recipe_of

HISTORY = (
    "train_loss",
    "train_correct",
    "test_loss",
    "test_correct",
    "seconds",
    "cpu_seconds",
    "evaluate_seconds",
)


@dataclass(frozen=True)
class Outcome:
    """What training gives.

    `history`: a list an epoch under each key: `train_loss` (mean over the epoch, dropout and augmentation on,
    weights moving), `train_correct` (count, likewise: the running training accuracy), `test_loss`,
    `test_correct` (count, eval mode), and of training alone `seconds` (elapsed, monotonic clock) and
    `cpu_seconds` (processor time: what is left of `seconds` when other work, or a machine asleep, is taken
    out), then `evaluate_seconds` (elapsed). `final`: `train_loss`, `train_correct` in eval mode on the clean
    training samples, `test_loss`, `test_correct`, and `diverged_epoch` (1-based epoch of the first NaN or
    infinite training loss, or None). A diverged run stops there and is scored as it stands: a network of NaNs
    always answers class 0.
    """

    history: dict[str, list]
    final: dict
    engine: str
    weights: dict[str, torch.Tensor]


def train(run: Run, data: Data, device: str = "cpu", checkpoint: "Checkpoint | None" = None) -> Outcome:
    """Train a run, given in the paper's names: :func:`train_network` of what they stand for."""
    return train_network(network_of(run), data, recipe_of(run), device, checkpoint)


def train_network(
    network: nn.Module,
    data: Data,
    recipe: Recipe,
    device: str = "cpu",
    checkpoint: "Checkpoint | None" = None,
) -> Outcome:
    """Train any network to the end of the recipe, from its last checkpoint where there is one.

    The outcome does not depend on whether, or where, the training was interrupted: what another engine or
    device began is not gone on with, but set aside with a warning.
    """
    engine, history = _begun(network, data, recipe, device, checkpoint)
    maker, diverged = _maker(engine, device), None
    for epoch in range(len(history["seconds"]), recipe.epochs):
        begun, worked = time.perf_counter(), time.process_time()
        loss, correct = engine.train_epoch(epoch)
        trained, worked = time.perf_counter(), time.process_time() - worked
        test_loss, test_correct = engine.evaluate(data.test_x, data.test_y)
        row = (
            loss / recipe.n_train,
            correct,
            test_loss / len(data.test_y),
            test_correct,
            trained - begun,
            worked,
            time.perf_counter() - trained,
        )
        for key, value in zip(HISTORY, row, strict=True):
            history[key].append(value)
        if not math.isfinite(loss):
            diverged = epoch + 1
            break
        if checkpoint:
            state = {"made_by": maker, "history": history, "engine": engine.state()}
            checkpoint.write(epoch + 1, state)
    x, y = (values[engine.chosen.to(values.device)] for values in (data.train_x, data.train_y))
    train_loss, train_correct = engine.evaluate(x, y)
    final = {
        "train_loss": train_loss / recipe.n_train,
        "train_correct": train_correct,
        "test_loss": history["test_loss"][-1],
        "test_correct": history["test_correct"][-1],
        "diverged_epoch": diverged,
    }
    return Outcome(history, final, engine.name, engine.weights())


def _maker(engine: TorchEngine, device: str) -> str:
    return f"the {engine.name} engine on {torch.device(device).type}"


def _begun(network, data, recipe, device, checkpoint) -> tuple[TorchEngine, dict[str, list]]:
    """The engine and the history so far, from the newest checkpoint that this engine wrote."""
    untouched = copy.deepcopy(network.state_dict()) if checkpoint else {}
    engine = fastest_engine(network, data, recipe, device)
    maker = _maker(engine, device)
    while checkpoint and (saved := checkpoint.read()) is not None:
        try:
            found = saved["made_by"]
            if found == maker:
                engine.restore(saved["engine"])
                return engine, {k: list(saved["history"][k]) for k in HISTORY}
            why = f"it is of {found}, this is {maker}, and so the run begins anew"
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError):
            why = "it does not hold the state of this training, which begins anew"
            network.load_state_dict(untouched)  # part of the state may have been taken over
            engine = fastest_engine(network, data, recipe, device)
        set_aside(checkpoint.files()[-1], why)
    return engine, {k: [] for k in HISTORY}


class Checkpoint:
    """The state of one unfinished run: a sealed file named by the run's key and the epochs done."""

    def __init__(self, folder: Path, key: str):
        self.folder, self.key = folder, key

    def files(self) -> list[Path]:
        """This run's checkpoint files, oldest first."""
        return sorted(self.folder.glob(f"{self.key}.*.pt"))

    def write(self, epochs_done: int, state: dict) -> None:
        """Put the new state in place, then drop the older ones: a kill at any moment leaves a whole file.

        Raises `StoreError` where the file cannot be written (a full disk, lost permission).
        """
        older, buffer = self.files(), io.BytesIO()
        torch.save(state, buffer)
        write_whole(self.folder / f"{self.key}.{epochs_done:05d}.pt", seal(buffer.getvalue()), durable=False)
        for path in older:
            path.unlink(missing_ok=True)

    def read(self) -> dict | None:
        """The newest whole state, or None. Damaged files, and those that hold more than plain values and
        tensors, are set aside."""
        for path in reversed(self.files()):
            if (payload := unseal(path.read_bytes())) is not None:
                try:
                    return torch.load(io.BytesIO(payload), weights_only=True)
                except MemoryError:
                    raise
                except Exception:  # of whatever kind: it was sealed whole, and is no state
                    pass
            set_aside(path, "it is damaged, and so the run repeats some epochs")
        return None

    def drop(self) -> None:
        for path in self.files():
            path.unlink(missing_ok=True)
