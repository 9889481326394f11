"""The asyncio client: the methods of `corun_client.client.Client`, awaited."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Unpack

from corun_client import calls
from corun_client.async_learning_client import AsyncLearningClient
from corun_client.async_record_client import AsyncRecordClient
from corun_client.async_validator_client import AsyncValidatorClient
from corun_client.conversion.executions import ExecutionEntry
from corun_client.conversion.options import CompareOptions, ExecuteOptions
from corun_client.conversion.reports import ComparisonReport, ExecutionReport
from corun_client.conversion.requests import ModelConfig, validation_policy


class AsyncClient(AsyncValidatorClient, AsyncRecordClient, AsyncLearningClient):
    """Calls the services at one address from one event loop. Made by `connect_async`; close it, or use it as a context.

    Arguments, reports and errors are those of `Client`. Cancelling a task that awaits a method cancels the work.
    """

    async def execute(
        self,
        *,
        models: Sequence[ModelConfig],
        platform: str,
        strategy: str | None = None,
        goal: str = "latency",
        iterations: int = 1,
        validation_interval: int | None = None,
        error_threshold: float | None = None,
        validate: bool = True,
        browser_preferences: Mapping[str, str] | None = None,
        on_event: Callable[[calls.ExecutionEvent], None] | None = None,
        timeout_seconds: float | None = None,
        **options: Unpack[ExecuteOptions],
    ) -> ExecutionReport:
        """Runs models together and reports what was predicted and what was measured."""
        call = calls.execute(
            models=models,
            platform=platform,
            strategy=strategy,
            goal=goal,
            iterations=iterations,
            validation=validation_policy(
                interval=validation_interval, error_threshold=error_threshold, disabled=not validate
            ),
            browser_preferences=browser_preferences,
            timeout_seconds=timeout_seconds,
            **options,
        )
        return await self.follow(call, on_event)

    async def compare(
        self,
        *,
        models: Sequence[ModelConfig],
        platform: str,
        goal: str = "latency",
        strategies: Sequence[str] = (),
        iterations: int = 1,
        rounds: int | None = None,
        browser_preferences: Mapping[str, str] | None = None,
        on_event: Callable[[calls.ComparisonEvent], None] | None = None,
        timeout_seconds: float | None = None,
        **options: Unpack[CompareOptions],
    ) -> ComparisonReport:
        """Runs models under several strategies (all three by default) in interleaved rounds.

        Without `rounds` there are at least 3, and more until the order is clear or `max_rounds` are done.
        """
        call = calls.compare(
            models=models,
            platform=platform,
            goal=goal,
            strategies=strategies,
            iterations=iterations,
            rounds=rounds,
            browser_preferences=browser_preferences,
            timeout_seconds=timeout_seconds,
            **options,
        )
        return await self.follow(call, on_event)

    def watch_execution(
        self, execution_id: str, *, after_sequence: int = 0, timeout_seconds: float | None = None
    ) -> AsyncGenerator[calls.ExecutionEvent | calls.ComparisonEvent, None]:
        """Events of an execution or comparison, from any connection: those after a sequence, and those to come."""
        call = calls.watch_execution(execution_id, after_sequence=after_sequence, timeout_seconds=timeout_seconds)
        return self.watch(call)

    async def cancel_execution(self, execution_id: str, *, timeout_seconds: float | None = None) -> ExecutionEntry:
        """Ends an execution or comparison, and says how it ended. One that has ended is left as it is."""
        return await self.answer(calls.cancel_execution(execution_id, timeout_seconds))

    async def executions(
        self, *, limit: int = 100, state: str | None = None, timeout_seconds: float | None = None
    ) -> list[ExecutionEntry]:
        """The newest executions and comparisons that are kept, at most 1000; only those in a `state` of ExecutionEntry,
        where one is given."""
        return await self.answer(calls.executions(limit, state, timeout_seconds))


def connect_async(target: str, *, retry_when_full: bool = True) -> AsyncClient:
    """An asyncio client for the services at HOST:PORT, as `connect`. It connects on its first call.

    Raises:
        InvalidArgument: when `target` is not HOST:PORT.
    """
    return AsyncClient(target, retry_when_full=retry_when_full)
