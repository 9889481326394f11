"""What must hold before a workload is accepted, and what is chosen then."""

from __future__ import annotations

import pytest

from corun.errors import InvalidField, PlatformUnavailable
from corun.orchestrator.core.cautions import Fallback, cautions
from corun.orchestrator.core.choice import choose, favourite
from corun.orchestrator.core.preferences import main_engine, preference_of
from corun.orchestrator.core.requirements import AskedModel, Engine, check_model_types, engine_for, first_index_of
from corun.orchestrator.core.terms import Figures, Goal, Strategy
from corun.orchestrator.core.validation import ExecutionCounter, ValidationPolicy

ABSENT = Engine("firefox", available=False, detail="not installed", supported=frozenset({"webgpu"}), problems={})
FIRST = Engine("chromium", available=True, detail="", supported=frozenset({"wasm"}), problems={"webnn": "no API"})
SECOND = Engine("shell", available=True, detail="", supported=frozenset({"wasm", "webnn"}), problems={})


def test_the_first_available_engine_that_supports_the_platform_is_taken() -> None:
    assert engine_for("wasm", [ABSENT, FIRST, SECOND]) == "chromium"
    assert engine_for("webnn", [ABSENT, FIRST, SECOND]) == "shell"


def test_an_engine_that_is_not_available_offers_nothing() -> None:
    with pytest.raises(PlatformUnavailable) as raised:
        engine_for("webgpu", [ABSENT, FIRST, SECOND])
    assert raised.value.metadata == {"platform": "webgpu", "offered": "wasm, webnn"}
    assert "firefox: not installed; chromium: not supported; shell: not supported" in raised.value.message


def test_without_any_engine_the_refusal_says_so() -> None:
    with pytest.raises(PlatformUnavailable, match="no browser engine is known") as raised:
        engine_for("wasm", [])
    assert raised.value.metadata["offered"] == "none"


def test_an_open_type_and_the_right_type_pass() -> None:
    check_model_types([AskedModel("a", ""), AskedModel("b", "vision")], ["audio", "vision"])


def test_the_first_wrong_type_is_named_by_its_place() -> None:
    with pytest.raises(InvalidField) as raised:
        check_model_types([AskedModel("a", "audio"), AskedModel("b", "vision")], ["audio", "text_embedding"])
    assert raised.value.field == "workload.models[1].model_type"


def test_a_model_is_found_where_it_is_named_first() -> None:
    asked = [AskedModel("a", ""), AskedModel("b", ""), AskedModel("b", "")]
    assert first_index_of("b", asked) == 1


def test_the_callers_strategy_wins_and_the_reason_names_the_recommended_one() -> None:
    choice = choose(asked=Strategy.BATCHED, recommended=Strategy.PARALLEL, reason="fastest")
    assert (choice.strategy, choice.automatic) == (Strategy.BATCHED, False)
    assert choice.reason == "asked for by the caller; the predictor would choose parallel"


def test_without_a_callers_strategy_the_recommended_one_runs_for_the_predictors_reason() -> None:
    choice = choose(asked=None, recommended=Strategy.PARALLEL, reason="fastest")
    assert (choice.strategy, choice.reason, choice.automatic) == (Strategy.PARALLEL, "fastest", True)


def test_of_strategies_without_the_recommended_one_the_best_predicted_is_the_favourite() -> None:
    predicted = {Strategy.BATCHED: Figures(90.0, 5.0, 3.0), Strategy.SEQUENTIAL: Figures(80.0, 9.0, 4.0)}
    picked = [
        favourite(list(predicted), recommended=Strategy.PARALLEL, reason="", predicted=predicted, goal=goal).strategy
        for goal in Goal
    ]
    assert picked == [Strategy.SEQUENTIAL, Strategy.SEQUENTIAL, Strategy.BATCHED]


def test_every_nth_execution_is_due_unless_disabled() -> None:
    policy = ValidationPolicy(interval=3, disabled=False, error_threshold=None)
    assert [number for number in range(1, 10) if policy.is_due(number)] == [3, 6, 9]
    assert not ValidationPolicy(interval=1, disabled=True, error_threshold=None).is_due(1)


def test_executions_are_numbered_by_platform_from_one() -> None:
    counter = ExecutionCounter({})
    assert [counter.next_number(each) for each in ("wasm", "wasm", "webgpu", "wasm")] == [1, 2, 1, 3]


def test_an_execution_as_foreseen_has_no_cautions() -> None:
    assert cautions(predicted_engine="chromium", ran_in=[("a", "chromium")], run_count=100_000) == []


def test_runs_beyond_what_is_recorded_are_a_caution() -> None:
    assert cautions(predicted_engine="chromium", ran_in=[("a", "chromium")], run_count=100_001) == [
        "only the first 100000 of 100001 runs are recorded one by one"
    ]


def test_models_that_ran_elsewhere_than_predicted_are_named_once() -> None:
    ran_in = [("a", "chromium"), ("b", "firefox"), ("c", "firefox"), ("b", "firefox")]
    assert cautions(predicted_engine="chromium", ran_in=ran_in) == [
        "predicted for the engine 'chromium', but b, c ran in 'firefox'"
    ]


def test_a_fallback_says_what_was_preferred_what_served_and_why() -> None:
    fallback = Fallback("vision", "edge", "chromium", "msedge is not installed")
    assert cautions(predicted_engine="chromium", ran_in=[("a", "chromium")], fallbacks=[fallback]) == [
        "vision was to run in 'edge', but ran in 'chromium': msedge is not installed"
    ]


def test_a_type_prefers_what_is_asked_for_it_by_either_name() -> None:
    assert preference_of("text_embedding", {"text": "firefox"}) == "firefox"
    assert preference_of("text_embedding", {"text": "firefox", "text_embedding": "chrome"}) == "chrome"
    assert preference_of("vision", {"text": "firefox"}) == ""


def test_a_workload_is_predicted_for_the_engine_that_serves_most_of_its_models() -> None:
    assert main_engine(["firefox", "chromium", "chromium"]) == "chromium"
    assert main_engine(["firefox", "chromium"]) == "firefox"
