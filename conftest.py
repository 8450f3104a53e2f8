"""Tests run side by side, so each process, and each kernel that it starts, computes in one thread.

nbval compares the text of a tagged output. Its HTML says the same with ids and colours, and may change."""

import os
from queue import Empty

import nbval.plugin

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # threads that wait for each other in a busy loop take a third more


def pytest_collectstart(collector):
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("text/html", "text/markdown")


class _Kept(nbval.plugin.RunningKernel):
    """A kernel that stays when a notebook is done, for the next one: half of the time of a notebook goes into
    what it imports. The next finds no name of the one before. (The book's build gives each a kernel of its
    own, and `test_book.py` compares the same outputs.)"""

    def stop(self):
        pass

    def end(self):
        super().stop()

    def begin(self, folder) -> bool:
        """Forget all names and go to this folder; False where the kernel does not answer. (Processes that a
        notebook starts look for `__spec__`.)"""
        clean = f"import os\nos.chdir({os.fspath(folder)!r})\n%reset -f\n__spec__ = None"
        try:
            self.await_idle(self.execute_cell_input(clean), 10)
        except Empty:
            return False
        return True


_kept: list[_Kept] = []


def _kernel(name, cwd=None, startup_timeout=60):
    if _kept and not (_kept[0].is_alive() and _kept[0].begin(cwd)):
        _kept.pop().end()
    if not _kept:
        _kept.append(_Kept(name, cwd, startup_timeout))
    return _kept[0]


nbval.plugin.RunningKernel = _kernel


def pytest_sessionfinish():
    while _kept:
        _kept.pop().end()
