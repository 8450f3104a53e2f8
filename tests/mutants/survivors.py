"""Faults that nothing can show, each with the reason: by rule, or (file, function, change) to reason."""

import re

EQUIVALENT: dict[tuple[str, str, str], str] = {
    ("analysis/estimate.py", "Estimate.interval", "0 to 1"): "both bounds are numbers, or neither is",
    (
        "analysis/estimate.py",
        "Estimate.interval",
        "math.isnan(self.value) or math.isnan(error): Or to And",
    ): "the arithmetic gives no number either",
    ("geometry/hessian.py", "top_eigenvalues defaults", "0 to 1"): "one seed is as good as another",
    ("geometry/objective.py", "<module>", "10000 to 10001"): "samples at a time: the sum is the same",
    (
        "records/integrity.py",
        "_versions",
        "log.decode(errors='replace'): without errors",
    ): "git writes names in ASCII unless it is told otherwise",
}
# A bound that two measured numbers meet exactly: it happens with probability 0, or to the last bit alone.
ON_THE_EDGE = "only where two measured numbers are equal to the last bit"
EDGES = {
    ("analysis/accuracy.py", "one_more_run"),
    ("analysis/estimate.py", "weighted"),
    ("analysis/critical_batch_size.py", "likeliest"),
    ("pages/figures.py", "_panel"),
}


def reason(file: str, site) -> str:
    """Why the fault at this place changes nothing; empty where it should be noticed."""
    edge = re.search(r": (LtE to Lt|Lt to LtE|GtE to Gt|Gt to GtE)$", site.text)
    if edge and (file, site.function) in EDGES:
        return ON_THE_EDGE
    return EQUIVALENT.get((file, site.function, site.text), "")
