"""`corun explain` as its own process, against fakes."""

from __future__ import annotations

import json

import pytest

from corun.v1 import predictor_service_pb2 as predictor_pb2
from tests.fakes.one_address import one_address
from tests.wire.test_client_command import corun

EXPLAIN = ("explain", "--models", "fake-text:4,fake-vision:1", "--platform", "wasm")


def cells(out: str, beginning: str) -> list[str]:
    (line,) = [each for each in out.splitlines() if each.startswith(f"│ {beginning}")]
    return [cell.strip() for cell in line.strip("│").split("│")]


async def test_the_parts_of_every_strategy_are_shown_and_nothing_is_run() -> None:
    async with one_address() as services:
        code, out, err = await corun(*EXPLAIN, "--target", services.target)
        assert services.pool.plan_requests == []
        assert services.pool.profile_requests == []
    assert (code, err) == (0, "")
    assert "for latency corun would choose parallel" in out
    assert "parallel is predicted fastest: 80 ms against 100 and 120" in out
    assert cells(out, "latency (ms)")[1:] == ["80.0 (72.0 to 88.0)", "100 (90.0 to 110)", "120 (108 to 132)"]
    # 40 ms alone and 1 ms of handing over leave 39, 59 and 79.
    assert cells(out, "  + sharing")[1:] == ["39.0", "59.0", "79.0"]
    assert cells(out, "  weights")[1:] == ["6.0", "6.0", "6.0"]
    assert cells(out, "fake-text ") == ["fake-text", "4", "1", "40.0 (36.0 to 44.0)", "its graph alone"]
    assert "never run here, estimated from the graph alone: fake-text, fake-vision; --profile measures first" in out


async def test_the_document_has_the_same() -> None:
    async with one_address() as services:
        code, out, err = await corun(*EXPLAIN, "--strategy", "sequential", "--target", services.target, "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert (document["recommended_strategy"], document["engine"], document["graph_only"]) == (
        "parallel",
        "fake-engine",
        ["fake-text", "fake-vision"],
    )
    assert list(document["strategies"]) == ["sequential"]
    sequential = document["strategies"]["sequential"]
    assert sequential["latency"] == {"value": 100, "low": 90, "high": pytest.approx(110)}
    assert sequential["solo_ms"] + sequential["contention_ms"] + sequential["dispatch_ms"] == 100
    assert [[run["model_name"] for run in stage] for stage in sequential["stages"]] == [["fake-text"], ["fake-vision"]]


async def test_new_models_are_profiled_only_when_asked() -> None:
    async with one_address() as services:
        services.predictor.suggestions = [
            predictor_pb2.ProfileSuggestion(model_name="fake-text", batch_size=4, lane_width=2)
        ]
        await corun(*EXPLAIN, "--target", services.target)
        assert services.pool.profile_requests == []
        code, _, err = await corun(*EXPLAIN, "--target", services.target, "--profile")
        assert (code, err) == (0, "")
        assert [each.model_name for each in services.pool.profile_requests] == ["fake-text"]


@pytest.mark.parametrize(
    ("arguments", "option"), [(("--strategy", "random"), "--strategy"), (("--goal", "fame"), "--goal")]
)
async def test_what_cannot_be_is_refused_before_anything_starts(arguments: tuple[str, str], option: str) -> None:
    code, out, err = await corun(*EXPLAIN, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"corun: {option}: ")
