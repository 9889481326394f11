"""`python -m corun.cli`: the `corun` command."""

from __future__ import annotations

from corun.cli import main

main()
