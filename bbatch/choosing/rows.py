"""The reader's own data, served as batches of any size: tensors and arrays, data sets, data loaders.

Nothing here knows a data set of the paper, and nothing is written anywhere.
"""

from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
)

from ..errors import BadInput
from ..nests import leaves, mapped, told

LEAST = 16  # rows: fewer make no batch worth choosing
HELD_OUT = 0.2  # of the rows, where no validation data are given


class Rows:
    """Rows of a data source, as batches. `len`: rows an epoch.

    source  a nest of tensors or arrays whose first dimension counts rows ((features, targets), a dict, ...),
            a `TensorDataset`, a map-style data set, or a `DataLoader`, of which everything but the batch size
            is kept
    what    "training" or "validation", for messages
    dtype   what double precision is turned into: that of the model

    Raises `BadInput` where there are fewer than `LEAST` rows, where parts differ in their number of rows, and
    for data that cannot be cut into batches of another size.
    """

    def __init__(self, source, what: str, dtype: torch.dtype = torch.float32):
        self.source, self.what, self.dtype, self.tensors, self.loader = source, what, dtype, None, None
        self._served, self._wanted = None, _Wanted()
        self.shuffles = not (isinstance(source, DataLoader) and isinstance(source.sampler, SequentialSampler))
        if isinstance(source, TensorDataset):
            source = source.tensors
        pair = isinstance(source, list) and len(source) == 2  # and not two rows
        if pair or isinstance(source, (torch.Tensor, np.ndarray, tuple, Mapping)):
            self.tensors = self._nest(source)
        else:
            self.loader = self._loader(source)
        if len(self) < LEAST:
            raise BadInput(
                f"the {what} data has {len(self)} rows; at least {LEAST} are needed, and "
                f"{round(LEAST / HELD_OUT)} where a fifth of one source is held out."
            )

    def __len__(self) -> int:
        return len(self.loader.sampler) if self.loader else len(next(leaves(self.tensors))[1])

    def batches(
        self, size: int, seed: int | None = None, most: int | None = None, skip: int = 0
    ) -> Iterator[tuple[object, int]]:
        """One epoch in batches of `size`, the last one smaller: (batch, its number of rows).

        seed    of the order; None: the order that they have. A loader that does not shuffle keeps its order,
                and one with a sampler of its own draws by it
        most    of the rows, a random part that is the same at each call, in place of an epoch of all
        skip    so many rows of the order, which were served before
        """
        n, generator = len(self), torch.Generator().manual_seed(seed or 0)
        shuffled = (seed is not None and self.shuffles) or (most is not None and most < n)
        order = torch.randperm(n, generator=generator) if shuffled else torch.arange(n)
        order = order[skip:most]
        if self.tensors is not None:
            for index in order.split(size):
                yield self.take(index), len(index)
            return
        drawn, left = self.loader.sampler if own_sampler(self.loader) else order.tolist(), len(order)
        self._wanted.batches = BatchSampler(drawn, size, False)
        self._served = self._served or self._serving()
        with self._making_batches():
            for batch in self._served:
                yield mapped(self._cast, batch), min(size, left)
                left -= size
                if left <= 0:
                    return

    def take(self, index: torch.Tensor):
        """The rows of these numbers, int64 [n], as one batch."""
        if self.tensors is not None:
            return mapped(lambda t: t[index], self.tensors)
        rows = self.loader.dataset
        many = getattr(rows, "__getitems__", lambda wanted: [rows[k] for k in wanted])
        with self._making_batches():
            return mapped(self._cast, self.loader.collate_fn(many(index.tolist())))

    def first_batch(self):
        """Of the first rows, enough for a check."""
        return self.take(torch.arange(LEAST))

    def few(self) -> Self:
        """The first rows alone, which are small enough to be sent to another process."""
        if self.tensors is not None:
            return Rows(self.first_batch(), self.what, self.dtype)
        rows = [self.loader.dataset[k] for k in range(LEAST)]
        return Rows(DataLoader(rows, collate_fn=self.loader.collate_fn), self.what, self.dtype)

    def same(self, other: Self) -> bool:
        """Whether both are the same rows."""
        mine, theirs = ({t.data_ptr() for _, t in leaves(r.tensors)} for r in (self, other))
        inner = [r.loader.dataset if isinstance(r.source, DataLoader) else r.source for r in (self, other)]
        apart = any(r.loader and own_sampler(r.loader) for r in (self, other))
        return bool(mine & theirs) or (inner[0] is inner[1] and not apart)

    def _serving(self) -> DataLoader:
        """A loader of whatever batches are wanted, as the reader's own makes them; its workers stay, since to
        start them takes longer than many a stretch of training."""
        kept = ("num_workers", "pin_memory", "timeout", "worker_init_fn", "multiprocessing_context")
        more = {name: getattr(self.loader, name) for name in kept}
        if self.loader.num_workers:
            more |= {"prefetch_factor": self.loader.prefetch_factor, "persistent_workers": True}
        wanted, collate = self._wanted, self.loader.collate_fn
        return DataLoader(self.loader.dataset, batch_sampler=wanted, collate_fn=collate, **more)

    def _making_batches(self):
        return told(
            f"the {self.what} data does not make batches", "give a DataLoader with a collate_fn that does"
        )

    def _cast(self, tensor: torch.Tensor) -> torch.Tensor:
        """Double precision as the model has it, whole numbers as losses take them."""
        if tensor.dtype == torch.float64:
            return tensor.to(self.dtype)
        return tensor.long() if tensor.dtype in (torch.int8, torch.int16, torch.int32) else tensor

    def _nest(self, source):
        """The tensors of a nest of tensors and arrays, all of as many rows."""

        def tensor(part):
            if isinstance(part, Mapping):
                return {k: tensor(v) for k, v in part.items()}
            if isinstance(part, tuple):
                return tuple(map(tensor, part))
            with told(f"the {self.what} data holds what no tensor can", "give numbers"):
                whole = part if torch.is_tensor(part) else np.require(part, requirements="W")
                part = torch.as_tensor(whole).detach()  # rows are data: what made them is not trained here
            if part.layout != torch.strided:
                raise BadInput(
                    f"the {self.what} data has a sparse tensor, whose rows cannot be drawn by number; give "
                    "its to_dense()."
                )
            return self._cast(part)

        nest = tensor(tuple(source) if isinstance(source, list) else source)
        counts = {name: len(t) if t.dim() else 0 for name, t in leaves(nest)}
        if len(set(counts.values())) != 1:
            if isinstance(nest, tuple) and len(nest) == 2 and len(counts) == 2:
                raise BadInput(
                    f"the {self.what} data has {counts['0']} rows of features and {counts['1']} targets; "
                    "give one target for each row."
                )
            listed = ", ".join(f"{name} {count}" for name, count in counts.items()) or "nothing"
            raise BadInput(f"the parts of the {self.what} data differ in their number of rows: {listed}.")
        return nest

    def _loader(self, source) -> DataLoader:
        """A loader of the rows of a data set, or the given one."""
        given = isinstance(source, DataLoader)
        rows = source.dataset if given else source
        counted = hasattr(rows, "__getitem__") and hasattr(rows, "__len__")
        if isinstance(rows, (IterableDataset, str, bytes)) or not counted:
            raise BadInput(
                f"the {self.what} data is of type {type(rows).__name__}, which has no rows to be drawn by "
                "number; give a pair (features, targets) of tensors, a data set with __getitem__ and "
                "__len__, or a DataLoader of one."
            )
        if given and type(source.batch_sampler) is not BatchSampler:
            raise BadInput(
                f"the {self.what} DataLoader makes its batches by a batch sampler of its own (or has none), "
                "so that no other batch size can be tried; give one with batch_size=."
            )
        return source if given else DataLoader(source)


class _Wanted:
    """A batch sampler that gives whatever `batches` does now."""

    batches = ()

    def __iter__(self):
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def own_sampler(loader: DataLoader) -> bool:
    """Whether a loader draws its rows in another way than all of them once, in order or at random."""
    sampler = loader.sampler
    if isinstance(sampler, RandomSampler):
        return sampler.replacement or len(sampler) != len(loader.dataset)
    return not isinstance(sampler, SequentialSampler)


def pair_of(data) -> tuple:
    """(train, validation): as given, or the one source cut in two at random, a fifth held out.

    Two bare tensors, arrays or tables of one length are one pair (features, targets). Raises `BadInput` where
    it cannot be cut.
    """
    bare = isinstance(data, (tuple, list)) and all(hasattr(p, "__array__") for p in data)
    if isinstance(data, (tuple, list)) and not data:
        raise BadInput("the data is empty; give (train, validation), or one source that is cut in two.")
    if bare and len({len(part) for part in data}) > 1 and len({part.shape[1:] for part in data}) > 1:
        counts = " and ".join(str(len(part)) for part in data)
        raise BadInput(
            f"the data has parts of {counts} rows; features and targets must have equally many, and a "
            "training and a validation set must each be a pair."
        )
    bare = bare and len({len(part) for part in data}) == 1
    if isinstance(data, (tuple, list)) and len(data) == 2 and not bare:
        return tuple(data)
    rows = Rows(data, "whole", torch.float64)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    held, kept = order.tensor_split([round(HELD_OUT * len(order))])
    if rows.tensors is not None:
        return rows.take(kept), rows.take(held)
    if own_sampler(rows.loader):
        raise BadInput(
            "a DataLoader with a sampler of its own cannot be cut in two; give (train, validation)."
        )
    parts = tuple(Subset(rows.loader.dataset, index.tolist()) for index in (kept, held))
    if not isinstance(data, DataLoader):
        return parts
    return tuple(DataLoader(p, collate_fn=data.collate_fn, num_workers=data.num_workers) for p in parts)
