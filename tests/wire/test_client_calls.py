"""The clients against real servers whose servicers follow a script."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from corun.errors import UnknownModel
from corun.plumbing.status import make_status
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun_client import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    NotHosted,
    NotInitialized,
    Unavailable,
    connect,
    connect_async,
)
from tests.fakes.client_services import (
    ExecutionEvent,
    ScriptedOrchestrator,
    ScriptedValidator,
    compared,
    completed,
    serving,
)
from tests.fakes.scripted_pool import ScriptedPool

MODELS = [{"model_name": "bert-base-uncased", "batch_size": 4}]
ACCEPTED = ExecutionEvent(sequence=1, accepted=orchestrator_pb2.ExecutionAccepted(execution_id="e-1"))


async def test_an_execution_gives_every_event_and_then_the_report() -> None:
    heard: list[str | None] = []
    orchestrator = ScriptedOrchestrator(events=[ACCEPTED, completed()])
    async with serving(orchestrator) as target, connect_async(target) as client:
        report = await client.execute(
            models=MODELS, platform="cpu", on_event=lambda event: heard.append(event.WhichOneof("event"))
        )
    assert heard == ["accepted", "completed"]
    assert (report["actual_latency"], report["hardware_platform"]) == (125, "wasm")


async def test_the_blocking_client_does_the_same_from_a_thread() -> None:
    orchestrator = ScriptedOrchestrator(events=[ACCEPTED, completed()])
    async with serving(orchestrator, ScriptedPool()) as target:

        def work() -> tuple[float, list[str]]:
            heard: list[str] = []
            with connect(target) as client:
                report = client.execute(
                    models=MODELS, platform="wasm", on_event=lambda event: heard.append(str(event.WhichOneof("event")))
                )
                client.capabilities()
            return report["actual_latency"], heard

        assert await asyncio.to_thread(work) == (125, ["accepted", "completed"])


async def test_what_the_caller_asks_for_is_what_the_orchestrator_gets() -> None:
    orchestrator = ScriptedOrchestrator(events=[completed()])
    async with serving(orchestrator) as target, connect_async(target) as client:
        await client.execute(
            models=MODELS,
            platform="webnn",
            strategy="batched",
            goal="memory",
            iterations=5,
            validation_interval=2,
            error_threshold=0.1,
            validate=False,
        )
    request = orchestrator.requests[0]
    assert (request.platform, request.strategy, request.goal) == (2, 3, 3)
    assert (request.workload.iterations, request.workload.models[0].batch_size) == (5, 4)
    assert (request.validation.interval, request.validation.error_threshold) == (2, 0.1)
    assert request.validation.disabled


async def test_a_comparison_gives_its_report() -> None:
    async with serving(ScriptedOrchestrator(events=[compared()])) as target, connect_async(target) as client:
        report = await client.compare(models=MODELS, platform="wasm", rounds=2)
    assert report["best_strategy"] == "parallel"


async def test_a_failed_event_is_raised_with_its_reason() -> None:
    status = make_status("INFERENCE_FAILED", "model 'x' failed in the browser:\n  out of memory", metadata={"a": "b"})
    events = [ACCEPTED, ExecutionEvent(failed=status)]
    async with serving(ScriptedOrchestrator(events=events)) as target, connect_async(target) as client:
        with pytest.raises(FailedPrecondition, match="out of memory") as caught:
            await client.execute(models=MODELS, platform="wasm")
    assert (caught.value.reason, caught.value.metadata) == ("INFERENCE_FAILED", {"a": "b"})
    assert "\n" not in str(caught.value)


async def test_a_status_is_raised_with_reason_and_field_violations() -> None:
    failure = UnknownModel("nope", ["a", "b"], field="workload.models[0].model_name")
    async with serving(ScriptedOrchestrator(failure=failure)) as target, connect_async(target) as client:
        with pytest.raises(NotFound, match="available: a, b") as caught:
            await client.execute(models=MODELS, platform="wasm")
    assert caught.value.reason == "UNKNOWN_MODEL"
    assert caught.value.violations[0].field == "workload.models[0].model_name"


@pytest.mark.parametrize("batch_size", [-1, 0, 1_000_000_000])
async def test_figures_out_of_range_come_back_as_the_services_judgement(batch_size: int) -> None:
    async with serving(ScriptedOrchestrator()) as target, connect_async(target) as client:
        with pytest.raises(InvalidArgument, match=f"received {batch_size}") as caught:
            await client.execute(models=[{"model_name": "m", "batch_size": batch_size}], platform="wasm")
    assert caught.value.violations[0].field == "workload.models[0].batch_size"


async def test_a_stream_that_ends_without_a_result_is_an_error() -> None:
    async with serving(ScriptedOrchestrator(events=[ACCEPTED])) as target, connect_async(target) as client:
        with pytest.raises(Unavailable, match="ended the stream without a result"):
            await client.execute(models=MODELS, platform="wasm")


async def test_a_service_that_is_not_hosted_is_named() -> None:
    async with serving(ScriptedPool()) as target, connect_async(target) as client:
        with pytest.raises(NotHosted, match=f"{target} does not host the orchestrator.*a corun orchestrator"):
            await client.execute(models=MODELS, platform="wasm")
    async with serving(ScriptedOrchestrator()) as target, connect_async(target) as client:
        with pytest.raises(NotHosted, match="does not host the resource pool"):
            await client.list_models()


async def test_when_nothing_answers_the_error_says_how_to_start_something() -> None:
    async with serving(ScriptedPool()) as target:
        pass  # the port was free a moment ago and is again
    async with connect_async(target) as client:
        with pytest.raises(Unavailable, match=f"nothing answers at {target}.*corun up"):
            await client.pool_status()
        with pytest.raises(Unavailable, match=f"nothing answers at {target}.*corun up"):
            await client.execute(models=MODELS, platform="wasm")


async def test_every_call_ends_at_its_deadline() -> None:
    orchestrator = ScriptedOrchestrator(events=[ACCEPTED], hold=True)
    async with serving(orchestrator) as target, connect_async(target) as client:
        with pytest.raises(DeadlineExceeded, match=r"did not finish within 0\.2 s"):
            await client.execute(models=MODELS, platform="wasm", timeout_seconds=0.2)
        async with asyncio.timeout(5):
            await orchestrator.cancelled.wait()


async def test_cancelling_the_caller_cancels_the_work() -> None:
    orchestrator = ScriptedOrchestrator(events=[ACCEPTED], hold=True)
    async with serving(orchestrator) as target, connect_async(target) as client:
        begun = asyncio.Event()
        task = asyncio.create_task(client.execute(models=MODELS, platform="wasm", on_event=lambda _: begun.set()))
        async with asyncio.timeout(5):
            await begun.wait()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await orchestrator.cancelled.wait()


async def test_an_error_in_the_callers_listener_cancels_the_work_and_is_passed_on() -> None:
    orchestrator = ScriptedOrchestrator(events=[ACCEPTED], hold=True)

    def listen(event: ExecutionEvent) -> None:
        raise KeyError(event.sequence)

    async with serving(orchestrator) as target:

        def work() -> None:
            with connect(target) as client:
                client.execute(models=MODELS, platform="wasm", on_event=listen)

        with pytest.raises(KeyError):
            await asyncio.to_thread(work)
        async with asyncio.timeout(5):
            await orchestrator.cancelled.wait()


async def test_metrics_come_from_the_orchestrator_or_else_the_validator() -> None:
    async with serving(ScriptedOrchestrator(), ScriptedValidator()) as target, connect_async(target) as client:
        assert (await client.metrics())["database_path"] == "/through/orchestrator"
    async with serving(ScriptedValidator()) as target, connect_async(target) as client:
        assert (await client.metrics())["error_rates"] == {"avg_latency_error": 0.25}


async def test_a_closed_client_says_so_and_closing_twice_is_fine() -> None:
    async with serving(ScriptedPool()) as target:
        client = connect_async(target)
        await client.close()
        await client.close()
        with pytest.raises(NotInitialized, match="closed"):
            await client.list_models()
        blocking = connect(target)
        blocking.close()
        blocking.close()
        with pytest.raises(NotInitialized, match="closed"):
            blocking.execute(models=MODELS, platform="wasm")
