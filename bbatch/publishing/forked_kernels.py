"""Kernels that are forked from a process with the libraries in memory, for many notebooks in a row.

A kernel imports PyTorch, SciPy, pandas and matplotlib before its first cell: four seconds, more than most
pages compute. Here the fork server of `multiprocessing` imports them once, and each kernel is a child of it,
with an environment, a namespace and imports of this package of its own. `jupyter_client` calls this a kernel
provisioner."""

import atexit
import contextlib
import gc
import os
import sys
from importlib.metadata import EntryPoint
from multiprocessing import get_context, parent_process
from threading import Thread

from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

LIBRARIES = [
    "torch._dynamo",  # PyTorch, with what its first optimizer imports
    "numba",
    "sklearn.datasets",
    "scipy.stats",
    "pandas",
    "pyarrow",
    "matplotlib.pyplot",
    "ipykernel.kernelapp",
]
LAUNCHER = "ipykernel_launcher"


def fork_kernels() -> None:
    """Have the Python kernels that this process starts forked. Linux alone: elsewhere system libraries do not
    bear it, and kernels start as ever."""
    if sys.platform == "linux":
        get_context("forkserver").set_forkserver_preload(LIBRARIES)
        factory = KernelProvisionerFactory.instance()
        ours = EntryPoint("bbatch-forked", f"{__name__}:ForkedProvisioner", factory.GROUP_NAME)
        factory.provisioners[ours.name] = ours
        factory.default_provisioner_name = ours.name


class ForkedProvisioner(LocalProvisioner):
    """Starts a Python kernel by a fork; any other as its parent does, and all where no fork server starts, as
    under a temporary folder whose name is too long for its socket."""

    async def launch_kernel(self, cmd: list[str], **kwargs):
        with contextlib.suppress(ValueError, OSError):
            arguments = cmd[cmd.index(LAUNCHER) + 1 :]
            quiet = kwargs.get("stderr") is not None
            self.process = Forked(arguments, kwargs["env"], kwargs.get("cwd"), quiet)
            self.pid = self.process.pid
            return self.connection_info
        return await super().launch_kernel(cmd, **kwargs)


class Forked:
    """A kernel with what its provisioner asks of a `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, *how):
        self.process = get_context("forkserver").Process(target=_run, args=how)
        self.process.start()
        self.pid = self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self) -> int:
        self.process.join()
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        """To the kernel and all that it has started, once it leads a session of its own."""
        if self.poll() is None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                os.kill(self.pid, number)


def _run(arguments: list[str], environment: dict[str, str], folder: str | None, quiet: bool) -> None:
    """In the child: a kernel, as `python -m ipykernel_launcher` is one."""
    gc.freeze()  # the libraries stay: collections of garbage need not go through them again and again
    os.setsid()  # so that Ctrl-C in a terminal is left to the process that started it
    Thread(target=_end_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder or os.curdir)
    if quiet:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    # with a parent it says nothing of itself on the terminal
    sys.argv = [LAUNCHER, *arguments, f"--IPKernelApp.parent_handle={os.getppid()}"]
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()
    atexit._run_exitfuncs()  # `multiprocessing` leaves them out, and temporary folders are removed there


def _end_with_parent() -> None:
    parent_process().join()
    os._exit(1)
