"""`python -m bbatch` is `bbatch`."""

import sys


def main() -> int:
    try:
        from .errors import ended_by_ctrl_c  # here, so that Ctrl-C ends in a line already now

        with ended_by_ctrl_c("bbatch: interrupted."):
            from .cli import main as command_line
    except KeyboardInterrupt:
        print("bbatch: interrupted.", file=sys.stderr)
        return 130
    return command_line()


if __name__ == "__main__":
    sys.exit(main())
