"""Jupyter Book in a process that does not outlive the build, which holds the end of its input."""

import os
import sys
import threading


def _follow() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_follow, daemon=True).start()
    from jupyter_book.cli.main import main

    main()
