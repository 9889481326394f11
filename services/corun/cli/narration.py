"""Events in words, for progress lines."""

from __future__ import annotations

from statistics import median
from typing import TypeAlias

from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun_client.calls import ComparisonEvent, ExecutionEvent
from corun_client.conversion.names import origin_name, strategy_name

AnyEvent: TypeAlias = ExecutionEvent | ComparisonEvent


def words_of(event: AnyEvent) -> str:
    """What an event of an execution or a comparison says, or "" where it is not worth a line."""
    return execution_words(event, rounds=0) if isinstance(event, ExecutionEvent) else comparison_words(event)


def outcome_words(event: AnyEvent) -> str:
    """How it ended, or "" where the event is not the last one."""
    if event.HasField("failed"):
        return f"failed: {event.failed.message}"
    if not event.HasField("completed"):
        return ""
    if isinstance(event, ComparisonEvent):
        return f"completed: {strategy_name(event.completed.best)} was best"
    chosen, measured = event.completed.chosen, event.completed.measured.performance
    return f"completed: {strategy_name(chosen.strategy)} took {measured.latency_ms:.0f} ms"


def execution_words(event: ExecutionEvent, *, rounds: int) -> str:
    """What an event of an execution says, or "" where it is not worth a line."""
    match event.WhichOneof("event"):
        case "accepted":
            return "accepted; looking at models and browsers"
        case "profiled":
            return _profiled_words(event.profiled)
        case "chosen":
            return event.chosen.reason or strategy_name(event.chosen.strategy)
        case "pool_event":
            return pool_words(event.pool_event, rounds=rounds)
    if event.HasField("validated"):
        return "held the prediction against the measurement"
    return queued_words(event) or refined_words(event)


def comparison_words(event: ComparisonEvent) -> str:
    """What an event of a comparison says, or "" where it is not worth a line."""
    match event.WhichOneof("event"):
        case "accepted":
            return f"accepted; {event.accepted.planned_run_count} runs of the workload to come"
        case "profiled":
            return _profiled_words(event.profiled)
        case "chosen":
            return f"recommended: {event.chosen.reason or strategy_name(event.chosen.recommended)}"
        case "pool_event":
            words = pool_words(event.pool_event.event, rounds=0)
            return f"{strategy_name(event.pool_event.strategy)}: {words}" if words else ""
        case "strategy_measured":
            measured = event.strategy_measured
            took = f"{measured.performance.latency_ms:.0f} ms"
            return f"round {measured.round + 1}: {strategy_name(measured.strategy)} {took}"
    return queued_words(event) or refined_words(event)


def queued_words(event: ExecutionEvent | ComparisonEvent) -> str:
    """What an execution that waits for its turn says, or "" for other events."""
    if not event.HasField("queued"):
        return ""
    return f"waiting for a browser; {event.queued.waiting_count} wait for {event.queued.place_count}"


def refined_words(event: ExecutionEvent | ComparisonEvent) -> str:
    """What a refinement of the predictor says, or "" for other events."""
    if not event.HasField("refined"):
        return ""
    refinement = event.refined.refinement
    if event.refined.HasField("failure"):
        return f"the predictor could not be refined: {event.refined.failure.message}"
    return f"the predictor is {'refined' if refinement.accepted else 'not refined'}: {refinement.reason}"


def pool_words(event: pool_pb2.ExecutePlanResponse, *, rounds: int) -> str:
    """What an event of the pool says. `rounds`: iterations to come, or 0 where they are not worth telling."""
    match event.WhichOneof("event"):
        case "leased":
            return _leased_words(event.leased)
        case "model_loaded":
            return _loaded_words(event.model_loaded)
        case "warmed_up":
            return f"warmed up in {event.warmed_up.warmup_time_ms / 1000:.1f} s"
        case "run_started" | "iteration_finished" if rounds:
            return _round_words(event, rounds)
        case "retried":
            return f"the browser was lost ({event.retried.cause}); starting over in another"
    return ""


def _leased_words(leased: pool_pb2.Leased) -> str:
    software = ", software" if leased.software_adapter else ""
    return f"browser ready: {leased.engine} ({leased.adapter or 'no adapter named'}{software})"


def _loaded_words(loaded: pool_pb2.ModelLoaded) -> str:
    how = "was loaded" if loaded.already_loaded else f"loaded in {loaded.load_time_ms / 1000:.1f} s"
    return f"{loaded.model_name} ({origin_name(loaded.weights_origin)}) {how}"


def _round_words(event: pool_pb2.ExecutePlanResponse, rounds: int) -> str:
    if event.HasField("run_started"):
        return f"round {event.run_started.iteration + 1} of {rounds}"
    finished = event.iteration_finished
    return f"round {finished.iteration + 1} of {rounds}: {finished.latency_ms:.0f} ms"


def _profiled_words(profiled: orchestrator_pb2.ModelProfiled) -> str:
    medians = ", ".join(f"{median(each.run_times_ms):.0f} ms" for each in profiled.profiles if each.run_times_ms)
    return f"profiled {profiled.model_name} alone" + (f": {medians}" if medians else "")
