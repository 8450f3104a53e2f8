"""Choice on held-out data, on accuracies written by hand."""

import pandas as pd
import pytest

from bbatch.analysis import held_out_choice


def test_optimism_by_hand():
    accuracies = {  # (batch size, seed): (held-out, test), at the rate of the rule, B times 0.001 / 32
        (8, 42): (80, 90),
        (32, 42): (90, 85),  # a tie on held-out data goes to the smallest
        (512, 42): (90, 100),
        (8, 43): (100, 95),
        (32, 43): (80, 95),
        (512, 43): (82, 75),
    }
    rows = [[b, 0.001 * b / 32, seed, *found] for (b, seed), found in accuracies.items()]
    rows += [[b, 0.002 * b / 32, seed, 99, 99] for b, seed in accuracies]  # another rate
    rows += [[640, 0.02, seed, 99, 99] for seed in (42, 43)]  # a batch size that the paper has not
    columns = "batch_size lr seed held_out_acc test_acc".split()
    runs = pd.DataFrame(rows, columns=columns).assign(dataset="synthetic-1k")
    found = held_out_choice.optimism(runs)
    assert (found.mean, found.n) == (pytest.approx(7.5), 2)  # 100 - 85 and 95 - 95
