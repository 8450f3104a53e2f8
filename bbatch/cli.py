"""The command line: parse, call, print. The exit codes stand at `main`."""

import json
import os
import sys

import pandas as pd

from . import extensions
from .choosing.answer import Told
from .errors import BadInput, printable
from .parser import parser
from .publishing import execution, rendering

WIDE = 120  # letters: a single row that is longer is printed with a line for each of its fields


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code.

    0 where it did its work, 1 where a record is not confirmed, nothing can be recommended, a book or notebook
    failed, or the output was closed before the work was done, 2 for bad input, 130 for Ctrl-C.
    """
    _speak_anywhere()
    try:
        extensions.import_named()
        options = parser().parse_args(arguments)
        rows = options.command(options)
        try:
            if rows is not None:
                _print(rows, options.json)
            print(end="", flush=True)  # here, where a full disk can still be told
        except BrokenPipeError:  # the reader of a pipe, `head` say, has seen enough; the work is done
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return options.exit_code(rows)
    except BadInput as error:
        print(f"bbatch: {error}", file=sys.stderr)
        return 2
    except (rendering.BookFailed, execution.NotebookFailed) as error:
        print("bbatch:", "\n".join(map(printable, str(error).splitlines())), file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print(f"bbatch: interrupted; {stop}" if stop.args else "bbatch: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr = _nowhere()  # what said how far the work was: nobody hears it
        return 1
    except OSError as error:  # a full disk, a permission that is not there
        where = error.filename or "the output"
        print(f"bbatch: {where} cannot be used ({error.strerror or error}).", file=sys.stderr)
        return 2


def _speak_anywhere() -> None:
    """No terminal stops a command: one that knows no "×" gets its code, a closed one nothing."""
    for name in ("stdout", "stderr"):
        if (stream := getattr(sys, name)) is None:
            setattr(sys, name, _nowhere())
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _nowhere():
    return open(os.open(os.devnull, os.O_WRONLY), "w", closefd=False)


def _print(rows: pd.DataFrame | list[dict] | Told | str, as_json: bool) -> None:
    if isinstance(rows, str):
        print("\n".join(map(printable, rows.splitlines())))
        return
    if isinstance(rows, Told):
        print(
            json.dumps(rows.to_dict(), indent=1)
            if as_json
            else "\n".join(map(printable, repr(rows).splitlines()))
        )
        return
    table = pd.DataFrame(rows)
    if as_json:
        plain = table.to_json(orient="records", double_precision=15, date_format="iso")
        print(json.dumps(json.loads(plain), indent=1))
    elif len(table):
        table = table.map(_cell)
        for column in (c for c in table if table[c].map(type).eq(str).all()):  # words stand flush left
            width = max(table[column].str.len().max(), len(str(column)))
            table[column] = table[column].str.ljust(width)
            table = table.rename(columns={column: str(column).ljust(width)})
        lines = [line.rstrip() for line in _text(table).splitlines()]
        if len(table) == 1 and max(map(len, lines)) > WIDE:  # field by field
            width = max(len(name.strip()) for name in table)
            lines = [f"{n.strip():<{width}}  {_text(table[[n]], header=False).strip()}" for n in table]
        print("\n".join(lines))
    else:
        print("(no rows)")


def _cell(value):
    if value is None:
        return "-"
    return printable(value) if isinstance(value, str) else value


def _text(table: pd.DataFrame, header: bool = True) -> str:
    return table.to_string(index=False, header=header, float_format=lambda v: f"{v:.4g}", na_rep="-")
