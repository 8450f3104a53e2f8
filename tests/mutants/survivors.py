"""Faults that nothing can show, each with the reason: by rule, or (file, function, change) to reason."""

import re

EQUIVALENT: dict[tuple[str, str, str], str] = {}
# A bound that two measured numbers meet exactly: it happens with probability 0, or to the last bit alone.
ON_THE_EDGE = "only where two measured numbers are equal to the last bit"
EDGES = {
    ("analysis/accuracy.py", "one_more_run"),
    ("analysis/accuracy.py", "seeds_that_agree"),
    ("analysis/critical_batch_size.py", "likeliest"),
}


def reason(file: str, site) -> str:
    """Why the fault at this place changes nothing; empty where it should be noticed."""
    edge = re.search(r": (LtE to Lt|Lt to LtE|GtE to Gt|Gt to GtE)$", site.text)
    if edge and (file, site.function) in EDGES:
        return ON_THE_EDGE
    return EQUIVALENT.get((file, site.function, site.text), "")
