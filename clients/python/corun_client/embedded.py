"""The four services in a thread of their own, for callers without an event loop."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures.thread  # loaded at once: its hook at exit must be in the list before ours
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import TYPE_CHECKING

import structlog

from corun.errors import CorunError as DomainError
from corun_client.errors import Cancelled, DeadlineExceeded, Unavailable
from corun_client.errors import CorunError as ClientError
from corun_client.failures import from_domain

if TYPE_CHECKING:
    from typing import Unpack

    from corun.embedded import StackOptions

_log = structlog.get_logger(__name__)

START_SECONDS = 120.0
CLOSE_SECONDS = 60.0


class EmbeddedThread:
    """Runs the embedded stack in a background thread with an event loop of its own.

    A program that ends without `close` closes it at exit, so that no browser stays behind.
    """

    def __init__(self, **options: Unpack[StackOptions]) -> None:
        self._options = options
        self._ready: concurrent.futures.Future[str] = concurrent.futures.Future()
        self._running: concurrent.futures.Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = (
            concurrent.futures.Future()
        )
        self._thread = threading.Thread(target=self._run, name="corun-embedded", daemon=True)
        self._closing = threading.Lock()

    def start(self, *, timeout_seconds: float = START_SECONDS) -> str:
        """Waits until the services answer; gives their address, HOST:PORT. A thread starts once.

        Raises:
            CorunError: what kept a service from being built, for example a locked database.
            DeadlineExceeded: when they did not come up in time.
        """
        _close_at_exit(self)
        self._thread.start()
        try:
            concurrent.futures.wait([self._ready], timeout_seconds)
        except BaseException:
            self.close()
            raise
        if not self._ready.done():
            self.close()
            raise DeadlineExceeded(f"the embedded services were not ready within {timeout_seconds:g} s")
        failure = self._ready.exception()
        if failure is not None:
            self.close()
            raise _in_clients_words(failure) from None
        return self._ready.result()

    def close(self) -> None:
        """Ends the services, their browsers included, and waits for it, but no longer than CLOSE_SECONDS.

        Closing twice, or before `start`, is fine.

        Raises:
            DeadlineExceeded: when they did not end in time.
        """
        with self._closing:
            if not self._thread.is_alive():
                return
            with suppress(RuntimeError, TimeoutError):  # the loop may just have ended by itself
                loop, task = self._running.result(CLOSE_SECONDS)
                loop.call_soon_threadsafe(task.cancel)
            self._thread.join(CLOSE_SECONDS)
            if self._thread.is_alive():
                raise DeadlineExceeded(f"the embedded services did not end within {CLOSE_SECONDS:g} s")

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except asyncio.CancelledError:
            if not self._ready.done():
                self._ready.set_exception(Cancelled("the embedded services were closed while they started"))
        except BaseException as error:
            if self._ready.done():
                _log.exception("the embedded services ended badly")
            else:
                self._ready.set_exception(error)

    def _stack(self) -> AbstractAsyncContextManager[str]:
        """What runs in the thread; gives its address."""
        from corun.embedded import embedded_stack  # noqa: PLC0415  # heavy, and not needed with a target

        return embedded_stack(**self._options)

    async def _serve(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.set_result((asyncio.get_running_loop(), task))
        async with self._stack() as address:
            self._ready.set_result(address)
            await asyncio.Event().wait()


class EmbeddedValidator(EmbeddedThread):
    """Runs a validator by itself, as an EmbeddedThread.

    Args:
        settings: Of `corun.validator.config.Settings`; None leaves one to the environment.
    """

    def __init__(self, **settings: object) -> None:
        super().__init__()
        self._settings = settings

    def _stack(self) -> AbstractAsyncContextManager[str]:
        from corun.embedded import hosted, settings_of  # noqa: PLC0415  # heavy, and not needed with a target

        return hosted("validator", settings_of("validator", port=0, **self._settings))


def _close_at_exit(embedded: EmbeddedThread) -> None:
    """Closes it when the interpreter ends, while threads still work.

    `atexit` is too late: closing needs `asyncio.to_thread`, whose executors are shut down before. The hook that
    shuts them down takes others too, last in first out, but has no public name.
    """
    reference = weakref.ref(embedded)

    def close() -> None:
        running = reference()
        if running is not None:
            running.close()

    register: Callable[[Callable[[], None]], object] = getattr(threading, "_register_atexit", atexit.register)
    register(close)


def _in_clients_words(failure: BaseException) -> BaseException:
    if isinstance(failure, DomainError):
        return from_domain(failure)
    if isinstance(failure, OSError) and not isinstance(failure, ClientError):
        return Unavailable(str(failure))
    return failure
