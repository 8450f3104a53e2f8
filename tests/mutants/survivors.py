"""Faults that change nothing that can be seen, each with the reason: (file, function, change) to reason."""

EQUIVALENT: dict[tuple[str, str, str], str] = {}
