"""What Algorithm 2 costs, on choices written by hand."""

import pandas as pd
import pytest

from bbatch.analysis import algorithm_2_loss, regret


def test_the_loss_is_that_of_its_own_choices_on_each_data_set():
    rows = [
        ("mnist", "Algorithm 2", 99.0, 98.0),
        ("mnist", "Algorithm 2", 99.5, 97.5),
        ("mnist", "Algorithm 2", 99.5, None),  # not trained yet
        ("mnist", "always 32", 99.0, 90.0),
        ("cifar10", "Algorithm 2", 70.0, 60.0),
    ]
    choices = pd.DataFrame(rows, columns=["problem", "method", "best_acc", "test_acc"])
    mnist, none = algorithm_2_loss.losses(choices, ["mnist", "synthetic-1k"])
    assert (mnist.value, mnist.n, mnist.unit) == (1.5, 2, "points")
    assert (mnist.about, mnist.how) == ("MNIST", "paired by seed")
    # Student's t with one degree of freedom, 12.706, times the standard error of 1 and 2
    assert mnist.interval() == pytest.approx((1.5 - 12.706 / 2, 1.5 + 12.706 / 2), rel=1e-4)
    assert (none.n, none.unit, none.about) == (0, "points", "Synthetic 1K")
    each = regret.regrets_by_problem(choices).xs("Algorithm 2", level="method")
    assert each.to_dict() == {"mnist": 1.5, "cifar10": 10.0}
    assert none.missing == "python -m bbatch.evaluation synthetic-1k"
