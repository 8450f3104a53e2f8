"""What the reader gives as data, cut into rows to train on and rows to judge by."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader, Subset

from ..errors import BadInput
from .rows import Rows, collate, own_sampler

HELD_OUT = 0.2  # of the rows, where no validation data are given


def pair_of(data) -> tuple:
    """(train, validation): as given, or the one source cut in two at random, a fifth held out.

    Two bare tensors, arrays or tables of one length are one pair (features, targets). Raises `BadInput` where
    it cannot be cut.
    """
    bare = isinstance(data, (tuple, list)) and all(hasattr(p, "__array__") for p in data)
    bare = bare and len({len(part) for part in data}) == 1
    if isinstance(data, (tuple, list)) and len(data) == 2 and not bare:
        return tuple(data)
    rows = Rows(data, "whole", torch.float64)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    held, kept = order.split([round(HELD_OUT * len(order)), len(order) - round(HELD_OUT * len(order))])
    if rows.tensors is not None:
        return rows.take(kept), rows.take(held)
    if own_sampler(rows.loader):
        raise BadInput(
            "a DataLoader with a sampler of its own cannot be cut in two; give (train, validation)."
        )
    if rows.loader.collate_fn is collate:
        return tuple(Subset(rows.loader.dataset, index.tolist()) for index in (kept, held))
    parts = (Subset(rows.loader.dataset, index.tolist()) for index in (kept, held))
    old = rows.loader
    return tuple(DataLoader(p, collate_fn=old.collate_fn, num_workers=old.num_workers) for p in parts)
