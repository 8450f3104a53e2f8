"""What trains an epoch: eager PyTorch, a compiled epoch, or a step captured as a CUDA graph."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from ..config import DATASETS, Run
from ..data import Data
from .eager import PIECE, TorchEngine


def engine_for(run: Run, data: Data, device: str) -> TorchEngine:
    """The fastest engine that can serve the run: compiled for the synthetic network on a CPU where numba is
    installed, graphs on CUDA, else PyTorch."""
    fits = (DATASETS[run.dataset].network, run.optimizer, run.precision, device) == (
        "mlp",
        "adam",
        "fp32",
        "cpu",
    )
    if fits and run.weight_decay == 0 and run.warmup_epochs == 0 and find_spec("numba"):
        from .compiled import CompiledEngine

        return CompiledEngine(run, data, device)
    if torch.device(device).type == "cuda" and run.batch_size <= PIECE["cuda"]:
        from .cuda_graph import GraphEngine

        return GraphEngine(run, data, device)
    return TorchEngine(run, data, device)
