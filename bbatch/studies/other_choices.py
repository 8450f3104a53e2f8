"""Where the paper is silent, the other choice: what it would have changed on the synthetic sets.

Not trials of a `Run`: what differs here is the start of the network or the shape of the warm-up, which a run
cannot name. `python -m bbatch.studies.other_choices` trains what its table lacks; the page "Resolved
ambiguities" reads it. The runs with our own choices are the recorded ones, and those of study `warm-up`.
"""

import math
from dataclasses import replace

import pandas as pd
import torch
from tqdm import tqdm

from .. import data
from ..config import SYNTHETIC, Run, plan
from ..files import write_whole
from ..recipe import Recipe, network_of, recipe_of
from ..trainer import train_network
from .table import FOLDER
from .warm_up import EPOCHS

FILE = FOLDER / "other-choices.csv"
COLUMNS = ["choice", "dataset", "batch_size", "seed", "n_train", "n_test", "train_correct", "test_correct"]
COLUMNS += ["running_correct"]  # while the last epoch ran; the first trainings did not keep it
WIDER, STAIRS = "initialisation", "warm-up"  # as the recorded table spells them
SEEDS = 10


def wider(run: Run) -> torch.nn.Module:
    """The run's network with weights drawn from an interval √6 times as wide: `kaiming_uniform_` called with
    the gain of ReLU (He et al. 2015), where ours is the layers' default. Biases stay."""
    net = network_of(run)
    with torch.no_grad():
        for p in net.parameters():
            if p.dim() > 1:
                p.mul_(math.sqrt(6))
    return net


def in_stairs(run: Run) -> Recipe:
    """The run's recipe with a warm-up of `EPOCHS` that climbs once an epoch, where ours climbs every step."""
    plain = recipe_of(replace(run, warmup_epochs=0))
    return replace(plain, rates=lambda epoch: plain.rates(epoch) * min(1.0, (epoch + 1) / EPOCHS))


def choice_runs() -> list[tuple[str, Run]]:
    """Each choice with the runs that it is tried on: the paper's protocol under the linear rule."""
    seeds = range(42, 42 + SEEDS)
    found = [(WIDER, plan(d, b, s)) for d in SYNTHETIC for b in (32, 512) for s in seeds]
    # where Table VII tells the two starts apart: small batches, hence small rates, do not get far from them
    found += [(WIDER, plan("synthetic-1k", b, s)) for b in (1, 8) for s in seeds]
    return found + [(STAIRS, plan(d, 512, s)) for d in SYNTHETIC for s in seeds]


def train_choice(choice: str, run: Run) -> dict:
    """One training; counts of right answers in evaluation mode, after the last epoch."""
    source = data.load(run.dataset)
    net, recipe = (wider(run), recipe_of(run)) if choice == WIDER else (network_of(run), in_stairs(run))
    out = train_network(net, source, recipe)
    size = len(source.train_y), len(source.test_y)
    right = out.final["train_correct"], out.final["test_correct"], out.history["train_correct"][-1]
    return dict(zip(COLUMNS, (choice, run.dataset, run.batch_size, run.seed, *size, *right), strict=True))


def recorded_choices() -> pd.DataFrame:
    """The table, with `COLUMNS` and test_acc, train_acc, train_acc_running in percent (the last missing where
    it was not kept); without rows where there is none yet."""
    found = pd.read_csv(FILE) if FILE.is_file() else pd.DataFrame(columns=COLUMNS)
    found = found.reindex(columns=COLUMNS).astype({"running_correct": "Int64"})
    percent = {
        f"{part}_acc": 100 * found[f"{part}_correct"] / found[f"n_{part}"] for part in ("train", "test")
    }
    running = 100 * found["running_correct"].astype(float) / found["n_train"].astype(float)
    return found.assign(**percent, train_acc_running=running)


def main() -> None:
    have = recorded_choices()[COLUMNS]
    done = set(zip(have["choice"], have["dataset"], have["batch_size"], have["seed"], strict=True))
    todo = [(c, run) for c, run in choice_runs() if (c, run.dataset, run.batch_size, run.seed) not in done]
    rows = have.to_dict("records")
    for one in tqdm(todo, desc="other choices"):  # written one by one: an interruption loses one training
        rows.append(train_choice(*one))
        table = pd.DataFrame(rows, columns=COLUMNS).astype({"running_correct": "Int64"})
        write_whole(FILE, table.sort_values(COLUMNS[:4]).to_csv(index=False).encode())


if __name__ == "__main__":
    main()
