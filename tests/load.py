"""Other programs, for measurements of what they do to ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

# Keeps one core busy.
BUSY = "while True: pass"


@contextmanager
def program(code: str) -> Iterator[psutil.Process]:
    """Runs Python code in a process that leads a session of its own, as a browser does, while the context is open."""
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()
