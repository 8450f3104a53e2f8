"""Dask: the same sweep, killed workers, a scheduler that ends, workers that share nothing."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, redirect_stderr, suppress
from io import StringIO

import pytest

from bbatch import data
from bbatch.errors import BadInput
from bbatch.records.store import Store
from bbatch.sweeping import dask_cluster, worker
from faults import harness
from faults.harness import store_in


def through(name, folder, runs, store=None, freeze=True, **options):
    """A sweep through the executor of this name."""
    from bbatch.sweeping.sweep import sweep

    with dask_cluster.executor(name, **options) as executor:
        sweep(runs, store or store_in(folder), executor=executor, progress=False)
    if freeze:
        (store or store_in(folder)).freeze()


def through_and_kill(folder, runs, kills):
    """A sweep on a cluster of this machine whose workers are killed at random moments."""
    rng, ended, me = random.Random(4), threading.Event(), os.getpid()

    def killer():
        for _ in range(kills):
            harness.until(lambda: ended.is_set() or list(store_in(folder).checkpoints.glob("*.pt")))
            time.sleep(rng.uniform(0, 0.3))
            if (workers := harness.workers_of(me)) and not ended.is_set():
                os.kill(rng.choice(workers), signal.SIGKILL)
            time.sleep(1)

    thread = threading.Thread(target=killer)
    thread.start()
    with redirect_stderr(StringIO()) as said:
        through("dask", folder, runs, jobs=2)
    ended.set()
    thread.join()
    assert re.fullmatch(r"Dask's dashboard: http://127\.0\.0\.1:\d+/status\n", said.getvalue()), (
        said.getvalue()
    )


def test_workers_killed_on_a_cluster_of_this_machine(undisturbed, tmp_path, long):
    harness.run(through_and_kill, tmp_path, harness.grid(long), 20 if long else 1)
    assert harness.decided_files(tmp_path) == undisturbed


@contextmanager
def separate(folder, options=((), ())):
    """A scheduler, and workers with these options, each with its own working folder, home and cache."""
    environment = os.environ | {
        "PYTHONPATH": harness.PYTHONPATH,
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }
    said = folder / "scheduler.log"
    with open(said, "w") as log:
        started = [subprocess.Popen(SCHEDULER, env=environment, cwd=folder, stdout=log, stderr=log)]
    try:
        harness.until(lambda: re.search(r"Scheduler at:\s+tcp://\S+:\d+\s", said.read_text()))
        address = re.search(r"Scheduler at:\s+tcp://(\S+:\d+)", said.read_text())[1]
        for k, more in enumerate(options):
            own = folder / f"worker {k}"
            own.mkdir(parents=True, exist_ok=True)
            started.append(
                subprocess.Popen(
                    WORKER
                    + [
                        f"tcp://{address}",
                        "--nthreads",
                        "1",
                        "--no-dashboard",
                        "--local-directory",
                        str(own),
                        *more,
                    ],
                    env=environment
                    | {"HOME": str(own), "XDG_CACHE_HOME": str(own / "cache"), "TMPDIR": str(own)},
                    cwd=own,
                    stderr=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
            )
        yield f"dask://{address}", started
    finally:
        for process in started:
            process.kill()
            process.wait()


SCHEDULER = [
    sys.executable,
    "-m",
    "distributed.cli.dask_scheduler",
    "--no-dashboard",
    "--host",
    "127.0.0.1",
    "--port",
    "0",
]
WORKER = [sys.executable, "-m", "distributed.cli.dask_worker", "--no-nanny"]


def sharing_nothing(name, folder, runs):
    """The store has a relative path: to each process it is a folder of its own."""
    os.chdir(folder)
    through(name, folder, runs, store=Store("live", "results"))


def test_workers_that_share_nothing_and_one_that_is_killed(undisturbed, tmp_path, long):
    runs = harness.grid(long)
    with separate(tmp_path) as (name, (_, first, second)):
        child = harness.start(sharing_nothing, name, tmp_path, runs)
        harness.until(lambda: harness.record_files(tmp_path), alive=child.is_alive)
        first.kill()
        child.join(300)
        assert child.exitcode == 0 and second.poll() is None
    assert harness.decided_files(tmp_path) == undisturbed
    held = [len(list((tmp_path / f"worker {k}" / "live" / "records").glob("*.json"))) for k in range(2)]
    assert held[1] >= 1 and sum(held) >= len(runs) == len(harness.record_files(tmp_path))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Of two separate workers: their scheduler's address, their folder, the process of the one with a GPU."""
    folder = tmp_path_factory.mktemp("pair")
    with separate(folder, ((), ("--resources", "GPU=1"))) as (name, (_, _, gpu)):
        yield name, folder, gpu.pid


def where(name, device, tasks, expected):
    from distributed import Client

    with Client(name.replace("dask://", "tcp://")) as client:
        client.wait_for_workers(2, 300)  # else the choice would be none
    with dask_cluster.executor(name, device=device) as executor:
        assert {executor.submit(os.getpid).result(300) for _ in range(tasks)} <= expected


def test_a_run_on_cuda_goes_to_a_worker_that_has_the_resource(pair):
    name, _, gpu = pair
    harness.run(where, name, "cuda", 12, {gpu})


def refused(name, folder, run):
    with dask_cluster.executor(name) as executor:
        for fingerprint, device, said in (
            ("0" * 64, "cpu", "this worker's synthetic-1k has fingerprint .* 000000000000; give"),
            (None, "abacus", "device 'abacus' cannot be used here; allowed are cpu"),
        ):
            ours = data.load(run.dataset).fingerprint
            with pytest.raises(BadInput, match=said):
                executor.submit(
                    worker.compute, run, Store(folder / "live"), device, fingerprint or ours
                ).result(300)


def test_a_worker_with_other_data_or_without_the_device_refuses_the_run(pair, tmp_path):
    harness.run(refused, pair[0], tmp_path, harness.grid()[0])


def to_the_end_of_the_scheduler(name, folder, runs):
    with pytest.raises(
        BadInput, match="the cluster dropped a run, as when its scheduler ends; .* goes on from there"
    ):
        through(name, folder, runs, freeze=False)


def test_a_scheduler_that_ends_loses_no_finished_run(undisturbed, tmp_path, long):
    if not long:
        pytest.skip("in the long form: make faults")
    runs = harness.grid(long)
    with separate(tmp_path) as (name, (scheduler, *workers)):
        child = harness.start(to_the_end_of_the_scheduler, name, tmp_path, runs)
        harness.until(lambda: len(harness.record_files(tmp_path)) >= 1, alive=child.is_alive)
        scheduler.send_signal(signal.SIGKILL)
        child.join(300)
        assert child.exitcode == 0
    finished = harness.record_files(tmp_path)
    with separate(tmp_path) as (name, _):
        harness.run(through, name, tmp_path, runs)
    assert finished.items() <= harness.record_files(tmp_path).items()
    assert harness.decided_files(tmp_path) == undisturbed


@pytest.mark.parametrize(
    "name",
    [
        "",
        "local",
        "dask:",
        "dask://",
        "dask://host",
        "dask://host:port",
        "dask://a b:1",
        "tcp://h:1",
        "dask://h:1;reboot",
        "Dask",
        "dask://h:123456",
        "dask://h:0",
        "dask://h:65536",
        None,
        3,
    ],
)
def test_an_unknown_executor_is_refused(name):
    with pytest.raises(
        BadInput, match="executor .* is unknown; allowed are processes, dask and dask://HOST:PORT"
    ):
        with dask_cluster.executor(name):
            pass


@pytest.mark.parametrize(
    "words",
    [b"", b"HTTP/1.0 400 Bad Request\r\n\r\n", b"\0" * 8, b"\x28" + b"\0" * 47],
    ids=["silent", "web", "zeros", "drips"],
)
def test_what_listens_but_is_no_scheduler(words, monkeypatch):
    """Dask's client would wait for ever for the first, and ask for exabytes of memory for the second."""
    monkeypatch.setattr(dask_cluster, "ANSWER_WITHIN", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            with server.accept()[0] as connection:
                for k in range(len(words)):  # byte by byte: the last of them would need five seconds
                    with suppress(OSError):
                        connection.sendall(words[k : k + 1])
                    time.sleep(0.1 if words[0] == 0x28 else 0)
                time.sleep(1)

        threading.Thread(target=answer, daemon=True).start()
        port = server.getsockname()[1]
        with pytest.raises(BadInput, match=f"no Dask scheduler answers at 127.0.0.1:{port} within 0.5 s"):
            with dask_cluster.executor(f"dask://127.0.0.1:{port}"):
                pass


def nobody_there():
    dask_cluster.ANSWER_WITHIN = 1
    with pytest.raises(BadInput, match="no Dask scheduler answers at 127.0.0.1:9 within 1 s; start one"):
        with dask_cluster.executor("dask://127.0.0.1:9"):
            pass


def test_a_scheduler_that_does_not_answer():
    harness.run(nobody_there)
