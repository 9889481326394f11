"""Has models checked by child processes, and makes a refusal of whatever becomes of those."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from corun.errors import ModelRefused
from corun.resource_pool.models.checking.limits import Allowance, CheckLimits
from corun.resource_pool.models.checking.messages import Answer, Request, answer_adapter, request_adapter
from corun.resource_pool.models.facts import Facts
from corun.resource_pool.models.manifest import Manifest

_COMMAND = (sys.executable, "-P", "-m", "corun.resource_pool.models.checking.child")
# Nothing of this process's environment is the child's business but how to find its modules.
_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG")},
    "OPENBLAS_NUM_THREADS": "1",  # each thread would reserve memory
    "TOKENIZERS_PARALLELISM": "false",
}
_LAST_WORDS_BYTES = 1000
_KILL_SECONDS = 10.0


class CheckUnfinished(ModelRefused):
    """The check ended without a word about the model: it may go otherwise the next time."""


class ModelChecker:
    """Checks models, one at a time: its user sees to that. `close` may be called from another thread.

    Args:
        limits: What a check may take of the machine.
    """

    def __init__(self, limits: CheckLimits | None = None) -> None:
        self._limits = limits or CheckLimits()
        self._guard = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self._closed = False

    def check(self, paths: Sequence[Path], *, name: str, manifest: Manifest, size_bytes: int, max_bytes: int) -> Facts:
        """What the model whose graphs these are was found to be. `size_bytes`, of all, sets what the check may take.

        Raises:
            ModelRefused: with what the child found, or the limit or signal that ended it.
            CheckUnfinished: it took too long by the clock, or this checker was closed.
        """
        allowance = self._limits.allowance(size_bytes)
        request = Request(manifest, max_bytes, allowance, os.getpid())
        with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said:
            asked.write(request_adapter.dump_json(request))
            asked.seek(0)
            answer = self._run(paths, name, allowance, asked, said)
        if answer.facts is None:
            raise ModelRefused(name, answer.problem)
        return answer.facts

    def close(self) -> None:
        """Ends a check that is running and refuses those to come. Idempotent."""
        with self._guard:
            self._closed = True
            if self._running is not None:
                _kill(self._running)

    def _run(self, paths: Sequence[Path], name: str, allowance: Allowance, asked: IO[bytes], said: IO[bytes]) -> Answer:
        child = self._start(paths, name, asked, said)
        try:
            output, _ = child.communicate(timeout=allowance.wall_seconds)
        except subprocess.TimeoutExpired as error:
            raise CheckUnfinished(name, f"checking it took more than {allowance.wall_seconds:g} s") from error
        finally:
            with self._guard:
                self._running = None
            _kill(child)
            child.communicate(timeout=_KILL_SECONDS)
        if self._closed:
            raise CheckUnfinished(name, "the pool is closing")
        if child.returncode:
            raise ModelRefused(name, _ending(child.returncode, allowance, said))
        try:
            return answer_adapter.validate_json(output)
        except ValidationError as error:
            raise ModelRefused(name, "the check of it gave no proper answer") from error

    def _start(self, paths: Sequence[Path], name: str, asked: IO[bytes], said: IO[bytes]) -> subprocess.Popen[bytes]:
        with self._guard:
            if self._closed:
                raise CheckUnfinished(name, "the pool is closing")
            self._running = subprocess.Popen(
                [*_COMMAND, *(path.absolute() for path in paths)],
                stdin=asked,
                stdout=subprocess.PIPE,
                stderr=said,
                env=_ENVIRONMENT,
                start_new_session=True,
            )
            return self._running


def _ending(code: int, allowance: Allowance, said: IO[bytes]) -> str:
    if code == -signal.SIGXCPU:
        return f"checking it took more than {allowance.cpu_seconds} s of processor time"
    if code < 0:
        return f"the check of it was ended by {signal.Signals(-code).name}; it may take {allowance}"
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - _LAST_WORDS_BYTES))
    last = said.read().decode(errors="replace").strip().splitlines()[-1:]
    return f"the check of it failed with code {code}: {''.join(last)}"


def _kill(child: subprocess.Popen[bytes]) -> None:
    # Its session is a process group of its own: nothing that it may have started outlives it.
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
