"""Faults that nothing can show, each with the reason: (file, function, change) to reason."""

EQUIVALENT: dict[tuple[str, str, str], str] = {}


def reason(file: str, site) -> str:
    return EQUIVALENT.get((file, site.function, site.text), "")
