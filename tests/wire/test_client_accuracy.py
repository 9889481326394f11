"""`corun bench accuracy` as its own process, against the real orchestrator and fakes of its peers."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest

from corun.errors import UnknownModel
from corun.v1 import core_pb2
from corun.v1 import predictor_service_pb2 as predictor_pb2
from tests.fakes.client_services import ScriptedOrchestrator, serving
from tests.fakes.fake_resource_pool import figures
from tests.fakes.one_address import one_address
from tests.until import until
from tests.wire.test_client_command import corun, start

BENCH = ("bench", "accuracy", "--models", "fake-text,fake-vision,fake-audio", "--train", "3", "--test", "2")
SIZE = ("--repeats", "2", "--seed", "5")


async def test_the_document_has_errors_baselines_and_choices() -> None:
    async with one_address() as services:
        code, out, err = await corun(*BENCH, *SIZE, "--target", services.target, "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    for part in ("seen", "unseen"):
        # 80, 100 and 120 ms are predicted, each with a tenth around it; 100 ms are measured.
        assert document["latency"][part]["mean"] == pytest.approx(0.4 / 3)
        assert document["latency"][part]["within_10"] == pytest.approx(1 / 3)
        assert document["latency"][part]["coverage"] == pytest.approx(1 / 3)
        assert document["latency"][part]["noise_floor"] == 0
        # 10 MB against 20.
        assert document["memory"][part]["median"] == pytest.approx(0.5)
        # Training measured 100 ms as well.
        assert document["baselines"]["history_mean"]["latency"][part]["mean"] == 0
        assert document["baselines"]["naive_composition"]["latency"][part]["mean"] == pytest.approx(0.6)
        assert document["baselines"]["linear_regression"]["latency"][part]["mean"] == pytest.approx(0, abs=1e-6)
    selection = document["selection"]
    assert (selection["best_or_tied"], selection["mean_regret"], selection["worst_regret"]) == (1, 0, 0)
    assert set(selection["fixed"]) == {"parallel", "sequential", "batched"}
    assert selection["predict_and_choose_p50_ms"] > 0
    assert (document["seed"], document["platform"], document["engine"]) == (5, "wasm", "fake-engine")
    assert document["counts"] == {"train": 3, "test": 2, "seen": 1, "unseen": 1, "points": 6, "repeats": 2}
    assert document["duration"] > 0
    assert document["fresh_state"] is False
    assert len(document["points"]) == 6


async def test_training_teaches_and_testing_does_not() -> None:
    async with one_address() as services:
        services.predictor.suggestions = [
            predictor_pb2.ProfileSuggestion(model_name=name, batch_size=4, lane_width=1)
            for name in ("fake-text", "fake-vision", "fake-audio")
        ]
        code, _, err = await corun(*BENCH, *SIZE, "--target", services.target, "--json")
        assert (code, err) == (0, "")
        training, held_out = services.pool.plan_requests[:3], services.pool.plan_requests[3:]
        # 2 workloads, 3 strategies, 2 rounds.
        assert len(held_out) == 12
        await until(lambda: len(services.validator.executions) == len(training))
        assert [each.model_name for each in services.pool.profile_requests] == [
            "fake-audio",
            "fake-text",
            "fake-vision",
        ]
        learnt = services.predictor.observe_requests
        assert len(learnt) == len(services.pool.profile_requests) + len(training)
        assert sum(len(request.executions) for request in learnt) == len(training)


async def test_every_round_of_a_block_measures_every_strategy_in_rotated_order() -> None:
    async with one_address() as services:
        await corun(*BENCH, *SIZE, "--target", services.target, "--json")
        orders = [request.plan.strategy for request in services.pool.plan_requests[3:9]]
    parallel, sequential, batched = core_pb2.STRATEGY_PARALLEL, core_pb2.STRATEGY_SEQUENTIAL, core_pb2.STRATEGY_BATCHED
    assert orders == [parallel, sequential, batched, sequential, batched, parallel]


async def test_a_slower_recommendation_is_regretted() -> None:
    async with one_address() as services:
        plans = services.pool.outcomes
        plans[core_pb2.STRATEGY_PARALLEL].extend([figures(150.0)] * 9)
        code, out, err = await corun(*BENCH, *SIZE, "--target", services.target)
    assert (code, err) == (0, "")
    (own,) = [line for line in out.splitlines() if line.startswith("│ corun's")]
    assert [cell.strip() for cell in own.strip("│").split("│")] == ["corun's", "0.0%", "50.0%", "50.0%"]
    assert "left out of training and profiled once: fake-" in out
    assert "the predictor already knew what it had learnt before" in out


async def test_a_noisy_machine_is_noticed() -> None:
    async with one_address() as services:
        for strategy in (core_pb2.STRATEGY_PARALLEL, core_pb2.STRATEGY_SEQUENTIAL, core_pb2.STRATEGY_BATCHED):
            # One execution to learn from, and two rounds of each of two workloads: 40 % off 100 ms on either side.
            services.pool.outcomes[strategy].extend(map(figures, (100.0, 60.0, 140.0, 60.0, 140.0)))
        code, out, err = await corun(*BENCH, *SIZE, "--target", services.target)
    assert (code, err) == (0, "")
    assert "single runs were 40% off the median of their repeats: the machine is noisy or was busy" in out


async def test_a_picture_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "points.png"
    async with one_address() as services:
        code, _, err = await corun(*BENCH, *SIZE, "--target", services.target, "--plot", str(path))
    assert (code, err) == (0, "")
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("--models", "a,b"), "--models"),
        (("--train", "2"), "--train"),
        (("--plot", "points.txt"), "--plot"),
        (("--plot", "/nowhere/points.png"), "--plot"),
        (("--platform", "abacus"), "--platform"),
        (("--engine", "lynx"), "--engine"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_starts(arguments: tuple[str, str], option: str) -> None:
    code, out, err = await corun("bench", "accuracy", *arguments)
    assert (code, out) == (2, "")
    assert option in err
    assert len(err.splitlines()) == 1


async def test_an_unknown_model_is_refused_in_one_line() -> None:
    async with one_address() as services:
        code, out, err = await corun(*BENCH[:3], "fake-text,fake-audio,nope", "--target", services.target)
    assert (code, out) == (1, "")
    assert "there is no model 'nope'" in err
    assert err.startswith("corun: --models: ")


async def test_a_deployment_without_a_predictor_is_told_from_one_with() -> None:
    async with serving(ScriptedOrchestrator(failure=UnknownModel("a", ["b"]))) as target:
        code, out, err = await corun(*BENCH, "--target", target)
    assert (code, out) == (1, "")
    assert "does not host all services: give the address of a `corun up`" in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_signal_ends_what_runs_in_the_pool(number: signal.Signals, code: int) -> None:
    async with one_address() as services:
        services.pool.behaviour = "hold"
        process = await start(*BENCH, "--target", services.target, "--json")
        async with asyncio.timeout(60):
            await services.pool.lease_started.wait()
            process.send_signal(number)
            out, err = await process.communicate()
            await services.pool.plan_cancelled.wait()
    assert (process.returncode, err) == (code, b"")
    assert json.loads(out)["error"]["code"] == "CANCELLED"
