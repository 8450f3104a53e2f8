"""Batches of any shape: nests of tensors in tuples, lists, dicts, dataclasses and packed sequences; and what
the code that made them, a reader's own, may raise.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace

import torch
from torch.nn.utils.rnn import PackedSequence

from .errors import BadInput

# How memory that ran out is told in a RuntimeError: by the CPU, twice, by CUDA and by cuBLAS.
NO_MEMORY = ("allocate memory", "not enough memory", "out of memory", "bad_alloc", "ALLOC_FAILED")


def as_mapping(batch) -> dict:
    if is_dataclass(batch):
        return {f.name: getattr(batch, f.name) for f in fields(batch)}
    return dict(batch)


def field(outputs, name: str):
    """`outputs.name` or `outputs[name]`; None where there is neither."""
    return outputs.get(name) if isinstance(outputs, Mapping) else getattr(outputs, name, None)


def tensor_of(outputs) -> torch.Tensor | None:
    """The tensor of outputs: itself, `.logits`, or the first of a tuple or list; None where there is none."""
    if isinstance(outputs, torch.Tensor):
        return outputs
    if isinstance(outputs, (tuple, list)):
        return tensor_of(outputs[0]) if len(outputs) else None
    found = field(outputs, "logits")
    return found if isinstance(found, torch.Tensor) else None


def mapped(function: Callable[[torch.Tensor], object], part):
    """The nest with `function` in place of each tensor (a packed sequence: its data)."""
    if isinstance(part, torch.Tensor):
        return function(part)
    if isinstance(part, PackedSequence):
        return part._replace(data=function(part.data))
    if isinstance(part, Mapping):
        return type(part)({k: mapped(function, v) for k, v in part.items()})
    if isinstance(part, tuple) and hasattr(part, "_fields"):
        return type(part)(*(mapped(function, v) for v in part))
    if isinstance(part, (tuple, list)):
        return type(part)(mapped(function, v) for v in part)
    if is_dataclass(part):
        return replace(
            part, **{f.name: mapped(function, getattr(part, f.name)) for f in fields(part) if f.init}
        )
    return part


def leaves(part, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of a nest with its place in it, such as "features" or "0.mask"; the tensor alone is ""."""
    if isinstance(part, PackedSequence):
        part = part.data
    if isinstance(part, torch.Tensor):
        yield name, part
        return
    if isinstance(part, Mapping) or is_dataclass(part):
        inner = as_mapping(part).items()
    else:
        inner = enumerate(part) if isinstance(part, (tuple, list)) else ()
    for key, value in inner:
        yield from leaves(value, f"{name}.{key}".lstrip("."))


def move(batch, device):
    """The batch on a device: by its own `.to`, where it has one, else each tensor in it."""
    own = getattr(batch, "to", None)
    return own(device) if callable(own) else mapped(lambda t: t.to(device), batch)


def shapes(part) -> str:
    """ "shape (8, 20)", or "shapes (8, 20), (8,)" for a nest."""
    found = [str(tuple(t.shape)) for _, t in leaves(part)]
    return f"shape {found[0]}" if len(found) == 1 else f"shapes {', '.join(found) or 'unknown'}"


def is_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or any(words in str(error) for words in NO_MEMORY)


@contextmanager
def told(failure: str, hint: str = ""):
    """Within, what a reader's own code raises becomes a `BadInput`: the failure, the first line of the error,
    and what would do. `BadInput` itself passes through, and so does memory that ran out."""
    try:
        yield
    except BadInput:
        raise
    except (Exception, SystemExit) as error:
        if is_memory(error):
            raise
        first = (str(error).strip().splitlines() or ["no message"])[0].rstrip(".")
        more = f"; {hint}" if hint else ""
        raise BadInput(f"{failure} ({type(error).__name__}: {first}){more}.") from error
