"""One machine outgrown: the same sweep on a Dask cluster, and what that costs.

`dask` starts a cluster of processes on this machine, `dask://HOST:PORT` joins one that runs. Workers need
this package and the data (each finds its own through BBATCH_DATA; a fingerprint that differs is refused), but
share no folder: a record comes back through the scheduler where the store is not shared. Where it is,
checkpoints are shared too, and a run whose worker died goes on elsewhere from its last epoch.
"""

import logging
import re
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager

from .. import data
from ..errors import BadInput
from . import worker
from .sweep import processes

ANSWER_WITHIN = 10  # seconds in which a scheduler must answer
ADDRESS = re.compile(r"dask://([\w.-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})")


def address_in(name: str) -> re.Match | None:
    """Host and port of the scheduler that an executor's name holds; None for an executor of this machine.

    Raises `BadInput` for a name that is no executor's.
    """
    address = ADDRESS.fullmatch(name) if isinstance(name, str) else None
    if name not in ("processes", "dask") and not (address and 0 < int(address[2]) < 2**16):
        raise BadInput(f"executor {name!r} is unknown; allowed are processes, dask and dask://HOST:PORT.")
    return address


@contextmanager
def executor(name: str, jobs: int | None = None, device: str = "cpu") -> Iterator[Executor | None]:
    """The executor named `processes` (None: the sweep's own), `dask` or `dask://HOST:PORT`, in a `with`.

    On CUDA each run asks for one unit of the worker resource GPU (`dask worker ... --resources GPU=1`, one
    worker a GPU). The address of Dask's dashboard goes to stderr. Raises `BadInput` for another name, for a
    device that the workers of `dask` cannot have, or where no scheduler answers.
    """
    address = address_in(name)
    if name == "processes":
        yield None
        return
    if not address:  # elsewhere the workers' devices count, not ours
        data.usable(device)
    import dask
    from distributed import Client, LocalCluster

    resources = {"GPU": 1} if device.startswith("cuda") else None
    # Workers of ours start with the settings of the sweep's own processes, in place of Dask's.
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": worker.ENVIRONMENT}),
        ExitStack() as open_here,
    ):
        if address:
            try:
                _greeted(address[1].strip("[]"), int(address[2]))
                client = Client(f"tcp://{address[1]}:{address[2]}", timeout=ANSWER_WITHIN)
            except OSError as error:
                raise BadInput(
                    f"no Dask scheduler answers at {address[1]}:{address[2]} within {ANSWER_WITHIN} s; "
                    "start one with `dask scheduler`, or name another."
                ) from error
        else:
            size = processes(jobs, device)
            cluster = open_here.enter_context(
                LocalCluster(
                    n_workers=size,
                    threads_per_worker=1,
                    processes=True,
                    resources=resources,
                    silence_logs=logging.CRITICAL,  # of a worker that died, the sweep itself tells
                    dashboard_address="127.0.0.1:0",
                )
            )
            cluster.adapt(minimum=size, maximum=size)  # replaces what dies
            client = Client(cluster)
        open_here.enter_context(client)
        if client.dashboard_link:
            print(f"Dask's dashboard: {client.dashboard_link}", file=sys.stderr)
        yield client.get_executor(pure=False, **({"resources": resources} if resources else {}))


def _greeted(host: str, port: int) -> None:
    """Raise `OSError` unless what listens there greets in time as Dask does: a length, and as many bytes.

    Dask's own client waits for ever for a listener that says nothing or says it byte by byte, and takes the
    words of another for a length.
    """
    end = time.monotonic() + ANSWER_WITHIN
    with socket.create_connection((host, port), timeout=ANSWER_WITHIN) as connection:

        def read(size: int) -> bytes:
            content = b""
            while len(content) < size:
                connection.settimeout(max(end - time.monotonic(), 0.001))
                part = connection.recv(size - len(content))
                if not part:
                    raise OSError("this is no Dask scheduler")
                content += part
            return content

        length = int.from_bytes(read(8), "little")
        if not 0 < length < 2**20:
            raise OSError("this is no Dask scheduler")
        read(length)
