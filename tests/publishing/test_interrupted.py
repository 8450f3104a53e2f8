"""The build when it is told to stop, when its process is killed, and when another build is at work."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from bbatch.publishing import book
from bbatch.records.store import Store
from bbatch.repository import ROOT
from factories import record

# Executes a notebook that is done at once and one that would take minutes, as the build does.
BUILD = """
import sys
from pathlib import Path
from bbatch.publishing import __main__, book
folder = Path(sys.argv[1])
book.pages, book.stamp = lambda: sorted(folder.glob("*.ipynb")), lambda path: "as it is"
book.BUILD, book.EXECUTED = folder, folder / "executed"
if __name__ == "__main__":
    sys.exit(__main__.main("book"))
"""


def notebook(path: Path, source: str) -> None:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [nbformat.v4.new_code_cell(source, id="cell")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)


@pytest.fixture
def building(tmp_path):
    """A build under way, in a process group of its own: one notebook is done, the other's kernel has begun.
    Gives its process, the ids of kernel and worker, and the stamp of what is done."""
    (tmp_path / "build.py").write_text(BUILD)
    notebook(tmp_path / "1_short.ipynb", "1")
    pids = tmp_path / "pids"
    note = f"open({str(pids)!r}, 'a').write(f'{{os.getpid()}} {{os.getppid()}} ')"
    notebook(tmp_path / "2_long.ipynb", f"import os, time\n{note}\ntime.sleep(600)")
    command = [sys.executable, str(tmp_path / "build.py"), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    child = start(command, env=environment)
    stamp = tmp_path / "executed" / "1_short.sha256"
    until(lambda: pids.is_file() and len(pids.read_text().split()) == 2, child)
    until(lambda: stamp.is_file() and stamp.read_text(), child)  # written to its end: one notebook is done
    yield child, list(map(int, pids.read_text().split())), stamp
    child.kill()
    child.communicate()


def start(command, **options):
    """A process that leads a group of its own and hears Ctrl-C, as one started by a shell, whatever started
    the tests."""
    options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    return subprocess.Popen(
        command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **options
    )


def until(condition, child=None, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this took too long"
        assert child is None or child.poll() is None, child.communicate()
        time.sleep(0.05)


def ended(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_ctrl_c_ends_all_within_seconds_in_a_line_and_keeps_what_is_done(building):
    child, pids, stamp = building
    os.killpg(child.pid, signal.SIGINT)  # to the whole group, as a terminal sends it
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert said.strip() == (
        "Interrupted; 1 of 2 notebooks were executed and are kept; the same command goes on there."
    )
    until(lambda: all(map(ended, pids)), seconds=60)
    assert stamp.read_text() == "as it is"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_a_build_that_is_killed(how, building):
    child, pids, stamp = building
    child.send_signal(how)
    child.wait(60)
    until(lambda: all(map(ended, pids)), seconds=60)
    assert stamp.is_file()


def test_ctrl_c_at_start_up_ends_in_a_line():
    command = [sys.executable, "-m", "bbatch.publishing", "book"]
    for seconds in (0.3, 1.0):
        child = start(command, cwd=ROOT)
        time.sleep(seconds)
        os.killpg(child.pid, signal.SIGINT)
        _, said = child.communicate(timeout=60)
        assert "Traceback" not in said and child.returncode in (130, -signal.SIGINT), said


def test_ctrl_c_that_an_import_would_swallow_ends_the_process():
    library = "try:\n  os.kill(os.getpid(), signal.SIGINT); time.sleep(9)\n except BaseException: pass"
    code = f"with ended_by_ctrl_c('Interrupted.'):\n {library}\nprint('went on')"
    code = f"import os, signal, time\nfrom bbatch.errors import ended_by_ctrl_c\n{code}"
    child = start([sys.executable, "-c", code], cwd=ROOT)
    out, said = child.communicate(timeout=60)
    assert (child.returncode, out, said) == (130, "", "Interrupted.\n")


def test_a_second_build_says_that_it_waits(tmp_path, monkeypatch, capsys):
    from filelock import FileLock

    monkeypatch.setattr(book, "BUILD", tmp_path)
    with book._alone():
        assert capsys.readouterr().out == ""
    with FileLock(tmp_path / ".lock"):
        monkeypatch.setattr(FileLock, "acquire", acquire := Patient(FileLock.acquire))
        book._alone()
    assert acquire.timeouts == [0, None]
    assert capsys.readouterr().out == "Another build is at work in this folder; this one waits for it.\n"


class Patient:
    """`FileLock.acquire` that notes how long it was told to wait, and does not wait."""

    def __init__(self, acquire):
        self.acquire, self.timeouts = acquire, []

    def __get__(self, lock, kind):
        def noted(timeout=None):
            self.timeouts.append(timeout)
            return self.acquire(lock, timeout=0) if timeout == 0 else None

        return noted


def test_a_live_record_that_arrives_or_is_replaced_makes_the_pages_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("BBATCH_STORE", str(tmp_path))
    page, stamps = book.pages()[0], []
    for seed, correct in ((42, 950), (43, 951), (43, 952)):
        Store(tmp_path).prepare().put(record("mnist", 32, seed, correct))
        stamps += [book.stamp(page), book.stamp(page)]
    assert stamps[::2] == stamps[1::2] and len(set(stamps)) == 3
