from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from corun.predictor.core.correction import IDENTITY, LEVEL, LinearCorrection
from corun.predictor.core.estimators import Method, Sample
from corun.predictor.core.refinement import Judgement, refine
from corun.predictor.core.workload import Platform

WASM = Platform.WASM


def dataset(count: int, *, level: float = 0.3, seed: int = 1) -> tuple[list[Sample], list[float]]:
    """Plans of 50 to 2,000 ms that all take exp(level) times what was composed, with 4 % noise."""
    source = random.Random(seed)
    samples = [
        Sample(WASM, {LEVEL: 1.0, "batch": source.random()}, level + source.gauss(0, 0.04)) for _ in range(count)
    ]
    return samples, [math.exp(source.uniform(4, 7.6)) for _ in range(count)]


def judged(
    samples: list[Sample],
    composed_ms: list[float],
    *,
    method: Method = Method.WINDOW,
    serving: LinearCorrection = IDENTITY,
    own: list[Sample] | None = None,
) -> Judgement:
    return refine(samples, method=method, platform=WASM, serving=serving, composed_ms=composed_ms, own=own or ())


@pytest.mark.parametrize("method", Method)
def test_a_consistent_bias_is_learnt_and_judged_on_the_newest_records(method: Method) -> None:
    found = judged(*dataset(60), method=method)
    assert found.accepted
    assert found.correction is not None
    assert found.correction.log_factor({LEVEL: 1.0, "batch": 0.5}) == pytest.approx(0.3, abs=0.05)
    assert (found.record_count, found.held_out_count) == (60, 15)
    assert found.error_before == pytest.approx(1 - math.exp(-0.3), abs=0.03)
    assert found.error_after is not None
    assert found.error_after < 0.06


@pytest.mark.parametrize("method", Method)
def test_what_is_already_right_is_left_as_it_is(method: Method) -> None:
    found = judged(*dataset(60, level=0.0), method=method, serving=LinearCorrection({LEVEL: 0.0}))
    assert found.correction is None
    assert "not better beyond chance" in found.reason


def test_the_newest_records_are_never_fitted_on() -> None:
    samples, composed = dataset(60)
    changed = [
        replace(each, log_ratio=each.log_ratio + 0.1) if index >= 45 else each for index, each in enumerate(samples)
    ]
    one, other = judged(samples, composed), judged(changed, composed)
    assert one.correction is not None
    assert one.correction == other.correction
    assert one.error_after != other.error_after


def test_few_records_are_refused_with_how_many_it_takes() -> None:
    assert judged(*dataset(11)).reason == "11 usable records of wasm: at least 12 are needed"


def test_labels_ten_times_too_large_are_refused() -> None:
    found = judged(*dataset(60, level=math.log(10)))
    assert found.correction is None
    assert "check units and labels" in found.reason


def test_shuffled_labels_are_refused() -> None:
    samples, composed = dataset(60)
    measured = [math.log(time) + each.log_ratio for each, time in zip(samples, composed, strict=True)]
    random.Random(2).shuffle(measured)
    mixed = [
        replace(each, log_ratio=log_ms - math.log(time))
        for each, log_ms, time in zip(samples, measured, composed, strict=True)
    ]
    found = judged(mixed, composed)
    assert found.correction is None
    assert "rank correlation" in found.reason


def test_what_is_worse_on_executions_seen_here_is_refused() -> None:
    own, _ = dataset(16, level=0.0, seed=9)
    found = judged(*dataset(60), own=own)
    assert not found.accepted
    assert "worse on the newest 16 executions seen here" in found.reason


def test_records_of_another_platform_are_not_judged_on() -> None:
    samples, composed = dataset(60)
    foreign = [Sample(Platform.WEBGPU, each.features, -1.0) for each in samples]
    mixed = [each for pair in zip(samples, foreign, strict=True) for each in pair]
    found = judged(mixed, [each for each in composed for _ in range(2)])
    assert found.accepted
    assert found.record_count == 60
