"""`python -m bbatch` is `bbatch`."""

import sys


def main() -> int:
    try:
        from .cli import main as command_line  # here, so that Ctrl-C while it is imported ends in a line, too
    except KeyboardInterrupt:
        print("bbatch: interrupted.", file=sys.stderr)
        return 130
    return command_line()


if __name__ == "__main__":
    sys.exit(main())
