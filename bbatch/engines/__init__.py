"""What trains an epoch: eager PyTorch, a compiled epoch, or steps captured as CUDA graphs."""

from importlib.util import find_spec

import torch
from torch import nn

from ..config import Run
from ..data import Data
from ..recipe import Recipe, network_of, recipe_of
from .eager import PIECE, TorchEngine


def engine_for(run: Run, data: Data, device: str) -> TorchEngine:
    """The fastest engine for a run in the paper's names."""
    return fastest_engine(network_of(run), data, recipe_of(run), device)


def fastest_engine(network: nn.Module, data: Data, recipe: Recipe, device: str) -> TorchEngine:
    """The fastest engine that can serve: compiled for exactly the network and optimizer that are compiled, on
    a CPU where numba is installed; graphs on CUDA, for an optimizer that can be captured; else PyTorch."""
    if device == "cpu" and find_spec("numba"):
        from .compiled import CompiledEngine, compiles

        if compiles(network, data, recipe):
            return CompiledEngine(network, data, recipe, device)
    if torch.device(device).type == "cuda":
        from .cuda_graph import GraphEngine, captures

        if captures(network, recipe, device) and recipe.batch_size(0) <= PIECE["cuda"]:
            return GraphEngine(network, data, recipe, device)
    return TorchEngine(network, data, recipe, device)
