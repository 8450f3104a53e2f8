"""The figure of B* against N and the variance computed on a page draw what they are given."""

import numpy as np
import pandas as pd
import pytest

from bbatch import published
from bbatch.pages import noise_figures, optimum_figures


def test_against_size_draws_problems_their_geometric_mean_and_table_vi():
    rows = [(p, n, 8 * p, 64 * p if n > 1_000 else pd.NA) for p in (1, 2, 4) for n in (1_000, 10_000)]
    optima = pd.DataFrame(rows, columns=["problem", "N", "optimal", "critical"])
    printed = published.critical()
    left, right = optimum_figures.against_size(optima, printed).axes
    for axis, what, sizes, middle in ((left, "optimal", 2, 16), (right, "critical", 1, 128)):
        means = next(line for line in axis.lines if line.get_marker() == "s")
        assert means.get_ydata() == pytest.approx([middle] * sizes)  # of 1, 2 and 4 times the least
        dots = next(line for line in axis.lines if line.get_marker() == "o")
        assert sorted(dots.get_ydata()) == sorted(optima[what].dropna())
        diamonds = next(line for line in axis.lines if line.get_marker() == "D")
        assert list(diamonds.get_ydata()) == list(printed[f"{what}_batch_size"])
        root = axis.lines[-1]
        assert np.ptp(root.get_ydata() / np.sqrt(root.get_xdata())) == pytest.approx(0, abs=1e-9)


def test_a_variance_computed_on_the_page_is_drawn_with_the_law_through_it():
    sizes = [1, 8, 64]
    found = {"before": pd.Series(2.0 / np.array(sizes), sizes), "after": pd.Series([9.0, 1.0, 0.1], sizes)}
    dots, law, *_ = noise_figures.live(found).axes[0].lines
    assert dots.get_ydata() == pytest.approx(law.get_ydata()) and list(dots.get_xdata()) == sizes
