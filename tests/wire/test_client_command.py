"""The command line as its own process, against a real server whose servicers follow a script."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process

import pytest

from corun.errors import UnknownModel
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from tests.fakes.client_services import (
    ExecutionEvent,
    ScriptedOrchestrator,
    ScriptedValidator,
    compared,
    completed,
    in_two_browsers,
    serving,
)
from tests.fakes.scripted_pool import ScriptedPool

RUN = ("run", "--models", "bert-base-uncased:4", "--platform", "wasm")
ACCEPTED = ExecutionEvent(sequence=1, accepted=orchestrator_pb2.ExecutionAccepted(execution_id="e-1"))


async def start(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "corun.cli", *arguments, stdout=PIPE, stderr=PIPE, stdin=asyncio.subprocess.DEVNULL
    )


async def corun(*arguments: str) -> tuple[int | None, str, str]:
    """Exit code, standard output and standard error of one command."""
    process = await start(*arguments)
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_a_run_prints_predicted_beside_measured_and_makes_seeded_weights_stand_out() -> None:
    async with serving(ScriptedOrchestrator(events=[ACCEPTED, completed()])) as target:
        code, out, err = await corun(*RUN, "--target", target)
    assert (code, err) == (0, "")
    (latency,) = [line for line in out.splitlines() if "latency (ms)" in line]
    cells = [cell.strip() for cell in latency.strip("│").split("│")]
    # |100 - 125| / 125 = 20 %
    assert cells == ["latency (ms)", "100.00", "90.00 to 110.00", "125.00", "20.0%"]
    assert "SEEDED weights: speed and memory are real, outputs are not meaningful" in out
    assert "SwiftShader (software)" in out
    assert "parallel on wasm (chosen)" in out
    assert "100 ms against 140 ms" in out
    assert "warning: memory was sampled once" in out


async def test_a_run_with_json_prints_one_document_with_the_guides_keys() -> None:
    async with serving(ScriptedOrchestrator(events=[completed()])) as target:
        code, out, err = await corun(*RUN, "--target", target, "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert (report["execution_strategy"], report["predicted_latency"], report["actual_latency"]) == (
        "parallel",
        100,
        125,
    )


async def test_models_that_ran_in_several_browsers_are_shown_with_theirs_and_fallbacks_are_named() -> None:
    orchestrator = ScriptedOrchestrator(events=[completed(measured=in_two_browsers())])
    async with serving(orchestrator) as target:
        code, out, err = await corun(*RUN, "--browser", "vision=edge", "--target", target)
    assert (code, err) == (0, "")
    assert dict(orchestrator.requests[0].browser_preferences) == {"vision": "edge"}
    (line,) = [line for line in out.splitlines() if "llvmpipe" in line]
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells == ["vit-base-patch16-224", "1", "1", "firefox, llvmpipe (software)"]
    assert "vision was to run in edge, but ran in firefox: msedge is not installed" in out


@pytest.mark.parametrize(("cores", "said"), [(None, False), (0.1, False), (0.94, True)])
async def test_a_run_beside_another_program_says_so(cores: float | None, said: bool) -> None:
    measured = pool_pb2.Measurement(other_programs_cores=cores)
    async with serving(ScriptedOrchestrator(events=[completed(measured=measured)])) as target:
        _, out, _ = await corun(*RUN, "--target", target)
        _, document, _ = await corun(*RUN, "--target", target, "--json")
    assert ("other programs used 0.9 cores meanwhile" in out) is said
    assert json.loads(document)["other_programs_cores"] == cores


async def test_a_comparison_shows_where_each_strategy_ran() -> None:
    event = compared()
    measured = in_two_browsers()
    event.completed.strategies[0].lanes.extend(measured.lanes)
    event.completed.strategies[0].fallbacks.extend(measured.fallbacks)
    async with serving(ScriptedOrchestrator(events=[event])) as target:
        code, out, _ = await corun("compare", *RUN[1:], "--browser", "vision=edge", "--target", target)
    assert code == 0
    assert "firefox, llvmpipe (software)" in out
    assert "vision was to run in edge, but ran in firefox: msedge is not installed" in out


async def test_figures_that_json_cannot_hold_become_null() -> None:
    event = completed()
    event.completed.predicted.memory_mb.value = float("nan")
    async with serving(ScriptedOrchestrator(events=[event])) as target:
        _, out, _ = await corun(*RUN, "--target", target, "--json")
    assert json.loads(out)["predicted_memory"] is None


async def test_a_comparison_prints_every_strategy_and_the_verdict() -> None:
    async with serving(ScriptedOrchestrator(events=[compared()])) as target:
        code, out, err = await corun("compare", *RUN[1:], "--target", target, "--rounds", "2")
    assert (code, err) == (0, "")
    assert "best for latency on wasm: parallel" in out
    assert "recommended was sequential: right (sequential cannot be told from the best)" in out
    assert "+12.5 %" in out
    (failed,) = [line for line in out.splitlines() if "failed" in line]
    assert "batched" in failed
    assert "the browser was lost" in failed


@pytest.mark.parametrize("as_json", [False, True])
async def test_a_refusal_is_one_line_or_one_document_and_never_a_traceback(as_json: bool) -> None:
    failure = UnknownModel("nope", ["a", "b"], field="workload.models[0].model_name")
    async with serving(ScriptedOrchestrator(failure=failure)) as target:
        code, out, err = await corun(*RUN, "--target", target, *(["--json"] if as_json else []))
    assert code == 1
    if as_json:
        assert err == ""
        error = json.loads(out)["error"]
        assert (error["code"], error["reason"]) == ("NOT_FOUND", "UNKNOWN_MODEL")
        assert error["fields"][0]["field"] == "workload.models[0].model_name"
    else:
        assert out == ""
        assert len(err.splitlines()) == 1
        assert err.startswith("corun: --models: ")
        assert "available: a, b" in err


async def test_a_figure_out_of_range_is_refused_in_the_services_words_with_the_option() -> None:
    async with serving(ScriptedOrchestrator()) as target:
        code, out, err = await corun("run", "--models", "x:0", "--platform", "cpu", "--target", target)
    assert (code, out) == (2, "")
    assert err.startswith("corun: --models: workload.models[0].batch_size: ")
    assert "received 0" in err


async def test_when_nothing_answers_the_line_says_how_to_start_something() -> None:
    async with serving(ScriptedPool()) as target:
        pass  # the port was free a moment ago and is again
    code, out, err = await corun(*RUN, "--target", target)
    assert (code, out) == (1, "")
    assert err.startswith(f"corun: nothing answers at {target}")
    assert "`corun up`" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_signal_cancels_the_work_and_is_the_exit_code(number: signal.Signals, code: int) -> None:
    orchestrator = ScriptedOrchestrator(events=[ACCEPTED], hold=True)
    async with serving(orchestrator) as target:
        process = await start(*RUN, "--target", target, "--json")
        async with asyncio.timeout(60):
            await orchestrator.held.wait()
            process.send_signal(number)
            out, err = await process.communicate()
            await orchestrator.cancelled.wait()
    assert process.returncode == code
    assert err == b""
    assert json.loads(out)["error"]["code"] == "CANCELLED"


async def test_metrics_come_from_a_deployment_with_target() -> None:
    async with serving(ScriptedValidator()) as target:
        code, out, _ = await corun("metrics", "--target", target, "--json")
        assert (code, json.loads(out)["error_rates"]) == (0, {"avg_latency_error": 0.25})
        code, out, _ = await corun("metrics", "--target", target)
        assert code == 0
        assert "25.0% / -" in out


async def test_models_are_listed_with_where_their_weights_come_from() -> None:
    async with serving(ScriptedPool()) as target:
        code, out, _ = await corun("models", "--target", target)
        assert code == 0
        assert "bert-base-uncased" in out
        assert "SEEDED" in out
        code, out, _ = await corun("models", "--target", target, "--json")
    assert (code, json.loads(out)["models"][0]["weights_origin"]) == (0, "SEEDED")


async def test_installing_tells_which_models_could_not_be_prepared_and_fails() -> None:
    pool = ScriptedPool(unprepared=UnknownModel("bert-base-uncased", ["none"]))
    async with serving(pool) as target:
        code, out, _ = await corun("models", "--install", "--target", target, "--json")
    assert code == 1
    document = json.loads(out)
    assert document["models"][0]["name"] == "bert-base-uncased"
    assert "there is no model" in document["failed"]["bert-base-uncased"]
