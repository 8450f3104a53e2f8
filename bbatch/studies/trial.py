"""One training of a study, and the row of the study's table that it gives."""

import hashlib
import json
import math
import time
from dataclasses import dataclass

import numpy as np
import torch

from .. import data, streams
from ..config import Run
from ..engines import TorchEngine, engine_for
from ..errors import BadInput, one_of, whole
from ..models import structure
from ..sweeping.worker import environment
from . import problems

AVERAGES = ("running", "precise")


@dataclass(frozen=True)
class Trial:
    """A run on part of the training set, the part that is held out, and where the data come from.

    The held-out samples are those that follow the run's own in the seeded order of the training set: another
    seed holds out others. `problem` is the seed of a generator problem (see `problems`); None: the run's data
    set. `patience`: training stops once the held-out loss has not fallen for so many epochs, and the weights
    of its lowest are scored (early stopping); None: the last weights after all epochs. `averages`: those of
    batch normalization that are scored, as training left them ("running") or estimated anew ("precise", see
    `TorchEngine.estimate_averages`).

    Raises `BadInput` for a patience below 1, or one without held-out samples, or unknown averages.
    """

    run: Run
    held_out: int = 0
    problem: int | None = None
    patience: int | None = None
    averages: str = AVERAGES[0]

    def __post_init__(self):
        one_of("kind of averages", self.averages, AVERAGES)
        if self.patience is not None:
            whole("patience", self.patience, 1)
            whole("number of held-out samples, which early stopping needs", self.held_out, 1)

    def data(self, device: str = "cpu") -> data.Data:
        if self.problem is None:
            return data.load(self.run.dataset, device)
        return problems.problem_data(self.problem, self.run.n_train).to(data.usable(device))

    def id(self, fingerprint: str) -> str:
        """Address of this trial's row on data with this fingerprint: 16 hex digits of a sha256. As that of a
        run, it covers the network itself where this is not built as for the first records."""
        trial = {"run": self.run.as_dict(), "held_out": self.held_out, "problem": self.problem}
        later = {"patience": self.patience, "network": structure(self.run.network_name)}
        later["averages"] = None if self.averages == AVERAGES[0] else self.averages
        trial |= {name: value for name, value in later.items() if value is not None}
        text = json.dumps({"trial": trial, "data": fingerprint}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def held_out_samples(self, n_full: int) -> np.ndarray:
        """Indices of the samples held out, of `n_full`; none of them trains.

        Raises `BadInput` where the training set is too small for both.
        """
        seeds, n = streams.seeds_of(self.run.seed), self.run.n_train
        if n + self.held_out > n_full:
            raise BadInput(
                f"{n} training and {self.held_out} held-out samples were asked for; there are {n_full}."
            )
        return np.setdiff1d(
            streams.subset(seeds, n_full, n + self.held_out), streams.subset(seeds, n_full, n)
        )


def train_trial(trial: Trial, device: str = "cpu") -> dict:
    """Train one trial and score its weights on held-out and on test samples: a row, see `table.COLUMNS`.

    Losses are means over samples in nats, missing where not finite. `running_correct` counts the right
    answers given while the last epoch ran, dropout on. A run whose training loss is not finite stops there
    and counts as diverged; what is scored is what it then has: with `patience` the weights of its lowest
    held-out loss, else the last ones.
    """
    run, source = trial.run, trial.data(device)
    index = torch.from_numpy(trial.held_out_samples(len(source.train_y))).to(source.train_y.device)
    held = source.train_x[index], source.train_y[index]
    engine = engine_for(run, source, device)
    begun, worked = time.perf_counter(), time.process_time()
    epochs_run, running, diverged = _train(engine, trial, held)
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - worked
    if trial.averages == "precise":
        engine.estimate_averages()
    scores = {
        "held_out": engine.evaluate(*held) if trial.held_out else None,
        "test": engine.evaluate(source.test_x, source.test_y),
    }
    row = run.as_dict() | {
        "id": trial.id(source.fingerprint),
        "dataset": source.name,
        "problem": trial.problem,
        "source": source.source,
        "fingerprint": source.fingerprint,
        "lr": run.lr,
        "network": run.network_name,
        "batch_schedule": run.batch_schedule,
        "lr_schedule": run.lr_schedule,
        "patience": trial.patience,
        "averages": trial.averages,
        "epochs_run": epochs_run,
        "n_held_out": trial.held_out,
        "n_test": len(source.test_y),
        "running_correct": running,
        "diverged": diverged,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "engine": engine.name,
    }
    for part, score in scores.items():
        mean = score[0] / row[f"n_{part}"] if score else math.nan
        row[f"{part}_loss"] = mean if math.isfinite(mean) else None
        row[f"{part}_correct"] = int(score[1]) if score else None
    return row | _where(device)


def _train(engine: TorchEngine, trial: Trial, held: tuple) -> tuple[int, int, bool]:
    """Train until the end, a loss that is not finite, or the end of patience; the engine's network then has
    the weights to score. Returns the epochs trained, the last one's running count, and whether it
    diverged."""
    lowest, at, kept = math.inf, -1, None
    for epoch in range(trial.run.epochs):
        loss, running = engine.train_epoch(epoch)
        if diverged := not math.isfinite(loss):
            break
        if trial.patience is not None:
            held_loss, _ = engine.evaluate(*held)
            if held_loss < lowest:
                lowest, at, kept = held_loss, epoch, engine.weights()
            elif epoch - at >= trial.patience:
                break
    if kept is not None:
        engine.net.load_state_dict(kept)
    return epoch + 1, int(running), diverged


def _where(device: str) -> dict:
    found = environment(device)
    kept = {k: found[k] for k in ("device", "device_name", "commit", "system", "python")}
    versions = sorted(found["versions"].items())
    return kept | {"versions": ", ".join(f"{name} {number}" for name, number in versions)}
