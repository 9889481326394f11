"""The `corun` command. Each group of commands is a module; heavy ones are imported when a command runs."""

from __future__ import annotations


def main() -> None:
    """Entry point: runs the command line and exits with its code."""
    import sys  # importing the package must stay free

    from corun.cli.app import run

    sys.exit(run(sys.argv[1:]))
