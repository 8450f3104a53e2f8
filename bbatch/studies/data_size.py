"""Data size alone: one generator problem at four sizes, under the paper's protocol with the linear rule.

The paper's three synthetic sets are three problems, so that their sizes are not all that differs, and one of
each, so that the scatter between data sets is not seen. Here five problems are each cut to N samples, of
which 80 % train.
"""

from ..config import plan
from .trial import Trial

N = (1_000, 4_000, 10_000, 50_000)
PROBLEMS = (1, 2, 3, 4, 5)  # seeds of the generator; 42 made the paper's sets
SEEDS = 5


def _batch_sizes(n_train: int) -> list[int]:
    """Powers of two from 1, and the full batch: the paper's grid ends at 512, before most B* come."""
    return sorted({2**k for k in range(n_train.bit_length())} | {n_train})


def data_size_trials(precision: str = "fp32") -> list[Trial]:
    """All sizes, problems and seeds; the smallest data sets first."""
    return [
        Trial(plan("synthetic-50k", b, 42 + k, n_train=n * 4 // 5, precision=precision), problem=problem)
        for n in N
        for problem in PROBLEMS
        for b in reversed(_batch_sizes(n * 4 // 5))
        for k in range(SEEDS)
    ]
