"""A notebook run in this process, under given parameters, and what a reader of its page sees."""

import os
import re
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output


def shown(path: Path, parameters: dict) -> list[str]:
    """The visible text of each output, in order. Raises what a cell raises, as a kernel would stop there."""
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    before, found = os.getcwd(), []
    shell = InteractiveShell.instance(cache_size=0)  # else each reset collects garbage, for half a second
    _begin(shell)
    os.chdir(path.parent)
    try:
        for cell in cells:
            found += _outputs(shell, cell.source)
            if "parameters" in cell.metadata.get("tags", []):  # as papermill injects them
                given = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
                found += _outputs(shell, f"# Parameters\n{given}")
    finally:
        os.chdir(before)
        _begin(shell)
    return found


def _begin(shell: InteractiveShell) -> None:
    shell.reset(new_session=False)
    shell.user_ns["__spec__"] = None  # what processes that are started look for


def _outputs(shell: InteractiveShell, source: str) -> list[str]:
    with shell.display_trap, capture_output() as caught:
        result = shell.run_cell(source, store_history=True)
    if error := result.error_before_exec or result.error_in_exec:
        raise error
    return [caught.stdout, *(visible(output.data or {}) for output in caught.outputs)]


def visible(data: dict) -> str:
    """The words of one output: of its HTML, else its Markdown, else its text."""
    if "text/html" in data:
        soup = BeautifulSoup(data["text/html"], "html.parser")
        for hidden in soup(["script", "style"]):
            hidden.decompose()
        return soup.get_text(" ")
    return str(data.get("text/markdown") or data.get("text/plain") or "")


ODD = {
    "not a number": r"\b(nan|NaN|inf|None|NaT)\b",
    "no interval at its place": r"[–—-]\s*±|±\s*(nan|inf|–)",
    "a sentence that is empty": r"\. \.|…\s*\.|: \.|, \.| \( *\)",
    "an object's name": r"<[\w.]+ (object )?at 0x",
}


def odd(text: str) -> list[str]:
    """What no page may say: numbers that are none, empty sentences, intervals far beyond the value."""
    text = text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{WORD JOINER}", "")
    found = [
        f"{kind}: …{text[max(m.start() - 60, 0) : m.end() + 40]}…"
        for kind, pattern in ODD.items()
        for m in re.finditer(pattern, text)
    ]
    for m in re.finditer(r"(−?[\d,]+(?:\.\d+)?) ± ([\d,]+(?:\.\d+)?)", text):
        value, half = (float(part.replace("−", "-").replace(",", "")) for part in m.groups())
        if half > 100 or (half > 20 and half > abs(value)):
            found.append(f"an interval that says nothing: {text[max(m.start() - 60, 0) : m.end() + 20]}")
    return found
