"""Numbers and names as the answers list them."""

from collections.abc import Iterable

from ..analysis.estimate import number


def listed(values: Iterable[float], decimals: int = 0) -> str:
    """ "0.10, 0.20 and 0.30"; "none" for what is infinite."""
    return in_a_row(number(v, decimals) for v in values)


def in_a_row(told: Iterable[object]) -> str:
    """ "A, B and C"."""
    *first, last = map(str, told)
    return f"{', '.join(first)} and {last}" if first else last


def ends(values: Iterable[float]) -> str:
    """ "1.2 to 3.4"."""
    found = sorted(values)
    return f"{found[0]:.3g} to {found[-1]:.3g}"
