"""Numbers and names as the answers list them."""

from __future__ import annotations

from collections.abc import Iterable

from ..analysis.estimate import Estimate, number
from ..config import DATASETS


def listed(values: Iterable[float], decimals: int = 0) -> str:
    """ "0.10, 0.20 and 0.30"; "none" for what is infinite."""
    return _joined(["none" if v == float("inf") else number(v, decimals) for v in values])


def in_a_row(found: dict[object, Estimate]) -> str:
    """The same of estimates, with their intervals."""
    return _joined([str(e) for e in found.values()])


def titles(datasets: Iterable[str]) -> str:
    """The same of data sets, by their titles."""
    return _joined([DATASETS[d].title for d in datasets])


def _joined(told: list[str]) -> str:
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"


def ends(values: Iterable[float]) -> str:
    """ "1.2 to 3.4"."""
    found = sorted(values)
    return f"{found[0]:.3g} to {found[-1]:.3g}"


def size(e: Estimate) -> str:
    """An effect without its sign."""
    return number(abs(e.value))
