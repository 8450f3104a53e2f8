"""Imported once by the server that forks the children of `harness`: what is slow to import and to compile."""

import torch

from bbatch import data
from bbatch.trainer import train
from faults import harness

torch.set_num_threads(1)
for run in harness.grid(False):
    train(harness.replace(run, epochs=1), data.load(run.dataset))
