"""Forked kernels: as fresh as others, and as easily stopped."""

import os
import subprocess
import sys
import time

import pytest
from jupyter_client.manager import start_new_kernel
from jupyter_client.provisioning import LocalProvisioner

from bbatch.publishing import forked_kernels
from bbatch.repository import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")


@pytest.fixture
def kernel(tmp_path):
    """kernel(): a new kernel in `tmp_path`, as its manager and a function that runs code and returns what it
    prints, or the name of the error."""
    started = []

    def start():
        forked_kernels.fork_kernels()
        manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
        started.append((manager, client))

        def run(code: str, meanwhile=lambda: None) -> str:
            printed = []

            def seen(message):
                if message["msg_type"] == "stream":
                    printed.append(message["content"]["text"])
                    meanwhile()

            reply = client.execute_interactive(code, timeout=60, output_hook=seen)["content"]
            return reply.get("ename") or "".join(printed).strip()

        return manager, run

    yield start
    for manager, client in started:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def gone(pid: int) -> bool:
    """Whether a process ends within ten seconds."""
    for _ in range(100):
        if not os.path.exists(f"/proc/{pid}"):
            return True
        time.sleep(0.1)
    return False


def test_each_has_its_own_names_environment_and_folder(kernel, tmp_path, monkeypatch):
    _, first = kernel()
    assert first("mine = 1; import torch; torch.mine = 1; print(mine)") == "1"
    monkeypatch.setenv("MADE_UP", "later than the fork server")
    _, second = kernel()
    assert second("print(mine)") == "NameError"
    assert second("import torch; print(torch.mine)") == "AttributeError"
    assert second("import os; print(os.environ['MADE_UP'])") == "later than the fork server"
    assert second("print(os.getcwd())") == str(tmp_path)
    assert second("print(os.getsid(0) == os.getpid() != os.getppid())") == "True"
    assert first("import os; print(os.environ.get('MADE_UP'))") == "None"


ASKED = """
import sys
from jupyter_client.manager import start_new_kernel
from bbatch.publishing.forked_kernels import LIBRARIES, fork_kernels
fork_kernels()
manager, client = start_new_kernel(kernel_name="python3")
code = f"import sys; print(set({LIBRARIES}) <= set(sys.modules), 'bbatch.pages' in sys.modules)"
said = []
client.execute_interactive(code, output_hook=lambda m: said.append(m["content"].get("text", "")))
client.stop_channels()
manager.shutdown_kernel()
print("".join(said))
"""


def test_the_libraries_are_there_before_the_first_cell_and_the_package_is_not():
    """In a process of its own: other tests have a fork server of this one at work, with other modules."""
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["True", "False"], done.stdout + done.stderr


def test_it_is_interrupted_and_goes_on(kernel):
    manager, run = kernel()
    asleep = "import time; print('begun', flush=True); time.sleep(60)"
    assert run(asleep, meanwhile=manager.interrupt_kernel) == "KeyboardInterrupt"
    assert run("print('on')") == "on"


def test_it_ends_when_asked_and_tidies_up(kernel, tmp_path):
    manager, run = kernel()
    pid = int(run("import os; print(os.getpid())"))
    run("import atexit; atexit.register(lambda: open('tidied', 'w').close())")
    manager.shutdown_kernel()
    assert gone(pid) and (tmp_path / "tidied").is_file()


def test_a_death_is_noticed(kernel):
    manager, run = kernel()
    pid = int(run("import os; print(os.getpid())"))
    os.kill(pid, 9)
    assert gone(pid) and not manager.is_alive()


def test_what_cannot_be_forked_starts_as_ever(monkeypatch):
    """Another language; any where the fork server's socket has no place."""

    async def launched(self, cmd, **kwargs):
        return cmd, kwargs

    def no_room(*_):
        raise OSError("AF_UNIX path too long")

    monkeypatch.setattr(LocalProvisioner, "launch_kernel", launched)
    monkeypatch.setattr(forked_kernels, "Forked", no_room)
    for cmd in (
        ["R", "-e", "IRkernel::main()"],
        ["python", "-m", forked_kernels.LAUNCHER, "-f", "made.json"],
    ):
        coroutine = forked_kernels.ForkedProvisioner().launch_kernel(cmd, env={})
        with pytest.raises(StopIteration) as ended:
            coroutine.send(None)
        assert ended.value.value == (cmd, {"env": {}})
