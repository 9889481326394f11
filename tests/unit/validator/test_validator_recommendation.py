"""Which refinement is recommended, on errors whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from corun.validator.core.findings import Evidence, Terms
from corun.validator.core.history import History
from corun.validator.core.recommendation import recommend
from corun.validator.core.refinement import Method
from tests.fakes.error_series import evidence, noise

TERMS = Terms(error_threshold=0.15, refinement_interval=10)
SEEDS = range(50)


@pytest.mark.parametrize("seed", SEEDS)
def test_small_errors_need_nothing_and_would_be_worked_off_incrementally(seed: int) -> None:
    found = recommend({"wasm": evidence(noise(seed, 40, deviation=0.05))}, TERMS)
    assert (found.needed, found.method) == (False, Method.INCREMENTAL)
    assert found.validation_count == 40
    assert (found.platforms, found.strategies) == ((), ())
    assert "within 15%" in found.reason


def test_errors_a_little_over_the_threshold_without_a_pattern_are_refined_incrementally() -> None:
    errors = np.resize([0.2, -0.2, 0.22, -0.18], 40)
    found = recommend({"wasm": evidence(errors, strategies=("parallel", "batched"))}, TERMS)
    assert (found.needed, found.method) == (True, Method.INCREMENTAL)
    assert (found.platforms, found.strategies) == (("wasm",), ("batched", "parallel"))
    assert "small and lean to no side (latency 20.0%" in found.reason


def test_large_errors_without_a_pattern_are_fitted_anew() -> None:
    found = recommend({"wasm": evidence(np.resize([0.9, -0.45], 40))}, TERMS)
    assert (found.needed, found.method) == (True, Method.WINDOW)
    assert "large and lean to no side" in found.reason


@pytest.mark.parametrize("bias", [0.3, -0.3])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_consistent_bias_asks_for_a_window(bias: float, seed: int) -> None:
    found = recommend({"wasm": evidence(bias + noise(seed, 30, deviation=0.05))}, TERMS)
    assert (found.needed, found.method, found.platforms) == (True, Method.WINDOW, ("wasm",))
    assert "latency" in found.findings[0].consistent_biases
    assert f"latency {found.findings[0].bias.latency:+.1%}" in found.reason


@pytest.mark.parametrize("seed", SEEDS)
def test_a_drift_asks_for_a_window_and_tells_both_levels(seed: int) -> None:
    errors = noise(seed, 90, deviation=0.05)
    errors[60:] += 0.4
    found = recommend({"wasm": evidence(errors)}, TERMS)
    assert (found.needed, found.method) == (True, Method.WINDOW)
    assert "latency" in found.findings[0].drifts
    assert "errors drifted: latency from" in found.reason


@pytest.mark.parametrize("seed", SEEDS)
def test_platforms_that_differ_ask_for_a_weighted_combination(seed: int) -> None:
    given = {
        "wasm": evidence(0.4 + noise(seed, 30, deviation=0.05)),
        "webgpu": evidence(noise(seed + 1000, 30, deviation=0.05), platform="webgpu"),
    }
    found = recommend(given, TERMS)
    assert (found.needed, found.method) == (True, Method.WEIGHTED)
    assert found.platforms == ("wasm",)  # the other one is good as it is
    assert found.validation_count == 60
    assert "differ across platforms (wasm latency" in found.reason


def test_platforms_with_the_same_bias_do_not_differ() -> None:
    given = {
        name: evidence(0.4 + noise(seed, 30, deviation=0.05), platform=name)
        for seed, name in enumerate(("wasm", "webgpu", "webnn"))
    }
    found = recommend(given, TERMS)
    assert (found.needed, found.method) == (True, Method.WINDOW)
    assert found.platforms == ("wasm", "webgpu", "webnn")


def test_platforms_that_differ_but_are_good_enough_need_nothing() -> None:
    given = {"wasm": evidence([0.12] * 20), "webgpu": evidence([-0.1] * 20, platform="webgpu")}
    found = recommend(given, TERMS)
    assert (found.needed, found.method) == (False, Method.INCREMENTAL)


def test_too_little_data_is_said_and_not_guessed() -> None:
    nothing = recommend({}, TERMS)
    assert (nothing.needed, nothing.method, nothing.validation_count) == (False, None, 0)
    assert "no validations yet" in nothing.reason
    four = recommend({"wasm": evidence([0.9] * 4)}, TERMS)
    assert (four.needed, four.method, four.validation_count) == (False, None, 0)
    assert "too little data: wasm: 4 validations since its last refinement, 5 are needed" in four.reason


def test_a_platform_with_too_few_does_not_keep_another_from_being_refined() -> None:
    given = {"wasm": evidence([0.4] * 20), "webnn": evidence([0.0] * 3, platform="webnn")}
    found = recommend(given, TERMS)
    assert (found.needed, found.method, found.validation_count) == (True, Method.WINDOW, 20)
    assert [each.method for each in found.findings] == [Method.WINDOW, None]


def test_nothing_is_due_before_the_interval_has_passed() -> None:
    found = recommend({"wasm": evidence([0.4] * 20, since_attempt=9)}, TERMS)
    assert (found.needed, found.method) == (False, Method.WINDOW)
    assert "not due: 9 of 10 validations since the last refinement" in found.reason
    assert recommend({"wasm": evidence([0.4] * 20, since_attempt=10)}, TERMS).needed


def test_only_the_newest_errors_count_for_the_need() -> None:
    errors = [0.4] * 30 + [0.01] * 10
    assert not recommend({"wasm": evidence(errors)}, TERMS).needed


def test_only_strategies_with_large_errors_are_affected() -> None:
    found = recommend({"wasm": evidence(np.resize([0.6, 0.02], 40), strategies=("parallel", "sequential"))}, TERMS)
    assert found.needed
    assert found.strategies == ("parallel",)


def test_a_figure_without_errors_says_nothing() -> None:
    history = History.of(("wasm", "parallel", 0.01, -0.01, None) for _ in range(20))
    found = recommend({"wasm": Evidence(history, 20)}, TERMS)
    assert found.findings[0].recent.memory is None
    assert not found.needed


signed = some.floats(min_value=-0.99, max_value=1e9)


@given(some.dictionaries(some.sampled_from(["wasm", "webgpu", "webnn"]), some.lists(signed, max_size=40)))
def test_every_evidence_gets_a_verdict_that_agrees_with_itself(errors: dict[str, list[float]]) -> None:
    found = recommend({name: evidence(each, platform=name) for name, each in errors.items()}, TERMS)
    assert found.needed == bool(found.platforms)
    assert not found.needed or (found.method is not None and found.strategies)
    assert found.reason


def test_drifts_are_not_looked_for_where_trends_are_switched_off() -> None:
    errors = noise(1, 90, deviation=0.05)
    errors[60:] += 0.4
    found = recommend({"wasm": evidence(errors)}, Terms(0.15, 10, with_drift=False))
    assert found.findings[0].drifts == {}
    assert "drifted" not in found.reason
