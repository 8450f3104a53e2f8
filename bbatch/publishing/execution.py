"""The execution of a notebook by papermill, and what is left of it.

An executed notebook is stripped of everything that differs from run to run: the same notebook on the same
records gives the same bytes.
"""

import contextlib
import hashlib
import logging
import os
import re
import sys
import warnings
from pathlib import Path

from ..repository import ROOT
from .notebooks import FOLDER, check_parameters, find

# The user's; the book keeps its own elsewhere, and `make clean` leaves these.
EXECUTED = ROOT / "_build" / "executed"


class NotebookFailed(RuntimeError):
    """A cell raised; names the notebook, the cell and the error. What ran before can be read."""


def execute(
    name: str | Path,
    parameters: dict | None = None,
    output: Path | None = None,
    *,
    progress: bool | dict = True,
) -> Path:
    """Execute a notebook with `parameters` in place of its defaults; returns the path of the executed copy.

    Without `output` it goes to `_build/executed/`, named by the notebook and the parameters given. It is
    saved after every cell, so that what ran can be read whatever happens, and signed as the user's own.
    `progress` may hold options for tqdm; where no terminal shows it, it becomes lines of a log, with what the
    cells say on stderr, such as how far a sweep is. The kernel imports the package that stands beside the
    notebooks, whatever else is installed.

    Raises `BadInput` before anything runs (see :func:`check_parameters`), `NotebookFailed` where a cell
    raises or the kernel dies.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError

    path, parameters = find(name), parameters or {}
    check_parameters(path, parameters)
    output = Path(output).resolve() if output else EXECUTED / f"{_label(path, parameters)}.ipynb"
    output.parent.mkdir(parents=True, exist_ok=True)
    use_this_checkout()
    if progress is True:
        progress = {"desc": path.stem}
    log = _Log() if progress and not sys.stderr.isatty() else None
    if log:
        os.environ.setdefault("TQDM_MININTERVAL", "60")  # seconds between lines; also of bars in the notebook
        form = "{desc}: cell {n_fmt} of {total_fmt}, {elapsed}"
        progress |= {"file": log, "mininterval": 60, "bar_format": form}
    how = {"kernel_name": "python3", "extra_arguments": ["--log-level=CRITICAL"]}
    # The kernel's folder; papermill's `cwd` would be that of this process, and the book executes two at once.
    how["resources"] = {"metadata": {"path": str(path.parent)}}
    how |= {"progress_bar": progress, "stderr_file": log, "request_save_on_cell_execute": True}
    try:
        with without_noise():
            papermill.execute_notebook(str(path), str(output), parameters, **how)
    except (papermill.PapermillExecutionError, DeadKernelError) as error:
        why = "because its kernel died, perhaps for want of memory"
        if isinstance(error, papermill.PapermillExecutionError):
            code = (text.strip() for text in error.source.splitlines() if text[:1] not in ("", "#", "%"))
            line = next(filter(None, code), "")
            raised = f"{error.ename}: {error.evalue.rstrip('.')}"
            why = f"in cell [{error.exec_count}], `{line}`, with {raised}"
        raise NotebookFailed(f"{path.name} stopped {why}; what ran can be read in {output}.") from None
    else:
        strip(output)
    finally:
        if output.is_file():
            _sign(output)
    return output


def use_this_checkout() -> None:
    """Have the kernels that this process starts import the package from here."""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([str(ROOT), *filter(None, paths)]))


def _sign(path: Path) -> None:
    """Trust an executed notebook, as `jupyter trust` does; JupyterLab hides others' drawings."""
    import nbformat
    from nbformat.sign import NotebookNotary

    # A home that cannot be written to, a file cut short.
    with contextlib.suppress(OSError, ValueError, nbformat.ValidationError):
        NotebookNotary().sign(nbformat.read(path, as_version=4))


class _Log:
    """A file for stderr that gives each state of a bar a line of its own."""

    def write(self, text: str) -> None:
        for line in filter(str.strip, re.split(r"[\r\n]+", text)):
            print(line.rstrip(), file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()


def strip(path: Path) -> None:
    """Drop what varies between runs: times, widget states, stderr, generated ids."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        for volatile in ("papermill", "execution"):
            cell.metadata.pop(volatile, None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "injected-parameters"
            cell.metadata.tags = ["injected-parameters", "remove-cell"]
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    nbformat.write(notebook, path)


def _joined(outputs: list) -> list:
    """Outputs without stderr and progress widgets; split pieces of stdout in one."""
    kept, widget = [], "application/vnd.jupyter.widget-view+json"
    for output in outputs:
        if output.get("name") == "stderr" or widget in output.get("data", {}):
            continue
        if kept and output.output_type == kept[-1].output_type == "stream":
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def _label(path: Path, parameters: dict) -> str:
    """File name, without suffix, that says what was executed: 02_accuracy_synthetic-profile=quick-seeds=3.

    Where it cannot say all of it, a part of a hash keeps different parameters apart, and notebooks of one
    name from elsewhere.
    """
    given = "".join(f"-{name}={value}" for name, value in sorted(parameters.items()))
    stem, said = path.stem[:80], re.sub(r"[^\w.=-]+", "_", given)[:80]
    if (stem, said) == (path.stem, given) and given.count("=") == len(parameters) and path.parent == FOLDER:
        return stem + said
    whole = f"{path}{sorted(parameters.items())}"
    return f"{stem}{said}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


@contextlib.contextmanager
def without_noise():
    """papermill logs its steps and libraries warn of their age; the progress bar says enough."""
    logger, level = logging.getLogger("papermill"), logging.getLogger("papermill").level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
