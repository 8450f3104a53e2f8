"""Tests run side by side, so each process, and each kernel that it starts, computes in one thread.

nbval compares the text of a tagged output. Its HTML says the same with ids and colours, and may change."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # threads that wait for each other in a busy loop take a third more


def pytest_collectstart(collector):
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("text/html", "text/markdown")
