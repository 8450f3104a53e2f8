"""`python -m bbatch.publishing book` builds the book, `pdf` prints it, `outputs` renews the outputs that are
committed: what `make book`, `make pdf` and `make outputs` call. `clean PATH` is a filter for git, from what
JupyterLab has saved to what would be committed (see CONTRIBUTING.md)."""

import os
import sys
import tempfile


def main(what: str = "", *names: str) -> int:
    if what not in ("book", "pdf", "outputs", "clean"):
        print(f"{what!r} cannot be made; allowed are book, pdf, outputs and clean PATH.", file=sys.stderr)
        return 2
    if what == "clean" and len(names) != 1:
        print("clean takes one path, that of the notebook in the repository.", file=sys.stderr)
        return 2
    try:
        from ..errors import BadInput, ended_by_ctrl_c  # here, so that Ctrl-C ends in a line already now

        with ended_by_ctrl_c("\nInterrupted."):
            from ..repository import git
            from . import book, execution, outputs, pdf, rendering

        try:
            if what == "clean":
                before = git("show", f":{names[0]}") or b""
                sys.stdout.write(outputs.cleaned(sys.stdin.read(), before.decode()))
            elif what == "outputs":
                print(f"Renewed: {_outputs(names) or 'nothing; all outputs are as committed'}.")
            elif what == "book":
                print(f"The book is ready: {book.build_book()}")
            else:
                print(f"The book as a PDF: {pdf.make()}")
        except (rendering.BookFailed, execution.NotebookFailed, pdf.NotPrinted, BadInput) as error:
            print(f"{error}\nThe {what} was not made.", file=sys.stderr)
            return 2 if isinstance(error, BadInput) else 1
    except KeyboardInterrupt as stop:
        print(f"\nInterrupted; {stop}" if stop.args else "\nInterrupted.", file=sys.stderr)
        return 130
    return 0


def _outputs(names) -> str:
    """Renew committed outputs from the committed records alone; the names of the notebooks that changed."""
    from . import outputs

    with tempfile.TemporaryDirectory() as empty:
        os.environ["BBATCH_STORE"] = empty
        return ", ".join(path.name for path in outputs.renew(names))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
