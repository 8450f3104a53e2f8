"""`python -m bbatch.publishing book` builds the book, `pdf` prints it: what `make book` and `make pdf`
call."""

import sys


def main(what: str) -> int:
    try:
        from ..errors import BadInput  # here, so that Ctrl-C while they are imported ends in a line, too
        from . import book, notebooks, pdf

        try:
            print(
                f"The book is ready: {book.build()}" if what == "book" else f"The book as a PDF: {pdf.make()}"
            )
        except (book.BookFailed, notebooks.NotebookFailed, pdf.NotPrinted, BadInput) as error:
            print(f"{error}\nThe {what} was not made.", file=sys.stderr)
            return 2 if isinstance(error, BadInput) else 1
    except KeyboardInterrupt as stop:
        print(f"\nInterrupted; {stop}" if stop.args else "\nInterrupted.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
