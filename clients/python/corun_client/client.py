"""The blocking client. `corun_client.async_client` has the same methods for asyncio."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Unpack

from corun_client import calls
from corun_client.conversion.executions import ExecutionEntry
from corun_client.conversion.options import CompareOptions, ExecuteOptions
from corun_client.conversion.reports import ComparisonReport, ExecutionReport
from corun_client.conversion.requests import ModelConfig, validation_policy
from corun_client.learning_client import LearningClient
from corun_client.record_client import RecordClient
from corun_client.validator_client import ValidatorClient


class Client(ValidatorClient, RecordClient, LearningClient):
    """Calls the services at one address. Made by `connect`; close it, or use it as a context.

    Every method raises a `CorunError` for what the services or the way to them say, and has a deadline
    (`timeout_seconds`). Threads may share a client.
    """

    def execute(
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
        """Runs models together and reports what was predicted and what was measured.

        Args:
            models: Each a mapping with `model_name`, and where wanted `model_type` and `batch_size` (1).
            platform: webgpu, webnn or wasm (cpu is another name of wasm).
            strategy: parallel, sequential or batched; None takes the best by prediction.
            goal: latency, throughput or memory.
            iterations: How often the whole workload runs.
            validation_interval: Validate every n-th execution; None leaves it to the service.
            error_threshold: Largest acceptable error (1 = 100 %); None leaves it to the service.
            validate: False never validates.
            browser_preferences: Browser to prefer for each model type: text_embedding (or text), text_generation,
                vision, audio, multimodal, to chromium, chromium-shell, firefox, chrome, msedge or edge. Where it
                cannot serve another does, and `fallbacks` of the report says so.
            on_event: Called with every event of the stream as it comes.
            timeout_seconds: Deadline, of the work too; an hour by default.
            **options: See `ExecuteOptions`.
        """
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
        return self.follow(call, on_event)

    def compare(
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
        return self.follow(call, on_event)

    def watch_execution(
        self, execution_id: str, *, after_sequence: int = 0, timeout_seconds: float | None = None
    ) -> Generator[calls.ExecutionEvent | calls.ComparisonEvent, None, None]:
        """Events of an execution or comparison, from any connection: those after a sequence, and those to come."""
        call = calls.watch_execution(execution_id, after_sequence=after_sequence, timeout_seconds=timeout_seconds)
        return self.watch(call)

    def cancel_execution(self, execution_id: str, *, timeout_seconds: float | None = None) -> ExecutionEntry:
        """Ends an execution or comparison, and says how it ended. One that has ended is left as it is."""
        return self.answer(calls.cancel_execution(execution_id, timeout_seconds))

    def executions(
        self, *, limit: int = 100, state: str | None = None, timeout_seconds: float | None = None
    ) -> list[ExecutionEntry]:
        """The newest executions and comparisons that are kept, at most 1000; only those in a `state` of ExecutionEntry,
        where one is given."""
        return self.answer(calls.executions(limit, state, timeout_seconds))


def connect(target: str, *, retry_when_full: bool = True) -> Client:
    """A client for the services at HOST:PORT. It connects on its first call.

    Args:
        target: HOST:PORT.
        retry_when_full: Come back to a pool that is full, when it says so, until the deadline of the call; False
            raises ResourceExhausted at once.

    Raises:
        InvalidArgument: when `target` is not HOST:PORT.
    """
    return Client(target, retry_when_full=retry_when_full)
