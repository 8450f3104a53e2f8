"""Tables of geometry for tests: of tiny networks measured with little effort, and made up."""

import copy
from dataclasses import replace

import pandas as pd
import torch

from bbatch import data
from bbatch.config import plan
from bbatch.geometry import drawing, encircling, measurements, measuring, networks, one_network
from bbatch.records.store import Store
from factories import tiny

SMALL = networks.Effort(
    (32, 512), ("linear", "constant"), 1, (1,), 60, 3, 1, 2, 3, 2, (1, 4, 16), 100, 10, 3, 50
)
TINY = {
    "synthetic-50k": SMALL,
    "mnist": replace(SMALL, n=8, n_noise=12, noise_batch=4, mini_batches=(1,), epochs=()),
}


def plan_effort(monkeypatch, planned) -> None:
    for module in (networks, measurements, measuring, drawing, encircling, one_network):
        monkeypatch.setattr(module, "EFFORT", planned)


def empty_place(tmp_path, monkeypatch) -> Store:
    """Tables in a folder of the test, tiny data, and little effort; returns an empty store."""
    monkeypatch.setattr(measurements, "FOLDER", tmp_path / "geometry")
    sets = {"synthetic-50k": tiny("synthetic-1k", 800, 200), "mnist": tiny("mnist", 600, 100)}
    monkeypatch.setattr(data, "load", sets.__getitem__)
    monkeypatch.setattr(networks, "plan", lambda d, b, s=42, **k: plan(d, b, s, epochs=2, n_train=600, **k))
    plan_effort(monkeypatch, TINY)
    return Store(tmp_path / "live", None).prepare()


def sharpness_table(seeds=3):
    """Sharpness that follows B exactly: S = (seed factor) · B^a."""
    rows = [
        {
            "dataset": "synthetic-50k",
            "batch_size": b,
            "lr_rule": rule,
            "precision": "fp32",
            "seed": 42 + k,
            "epoch": 50,
            "split": "train",
            "measure": measure,
            "value": (1 + k) * b**a,
            "n_samples": 10,
            "id": f"{rule}{b}{k}",
        }
        for rule, a in (("linear", -0.5), ("constant", 0.25))
        for b in (8, 32, 128, 512)
        for k in range(seeds)
        for measure in ("sharpness_l2", "hessian_trace")
        if rule == "linear" or b != 32
    ]
    return pd.DataFrame(rows).assign(settings="", source="retrained", commit="")


def moved(net, step):
    """A copy of the network with the flat `step` added to its parameters, one after the other."""
    other, at = copy.deepcopy(net), 0
    with torch.no_grad():
        for p in other.parameters():
            p += step[at : at + p.numel()].view(p.shape)
            at += p.numel()
    return other
