"""What a search may be limited by."""

from __future__ import annotations

import math

from ..errors import BadInput, whole


def check_limits(epochs, budget, seed, positive: dict) -> None:
    """Raise `BadInput` for a number of epochs, a budget, a seed, or one of `positive` (None allowed) that
    cannot be."""
    whole("number of epochs", epochs, 1)
    whole("seed", seed, 0, 2**32 - 1)
    for what, value in ({"budget": budget} | {k: v for k, v in positive.items() if v is not None}).items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise BadInput(f"{what} is {value!r}; it must be a finite number above 0.")
