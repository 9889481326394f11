from __future__ import annotations

import random

import pytest

from corun.predictor.core.adjustment import Residual, fit_adjustment
from corun.predictor.core.conformal import deviations
from corun.predictor.core.correction import IDENTITY, LEVEL
from corun.predictor.core.execution import Surprise
from corun.predictor.core.interval import NINE_IN_TEN

ALONE = {LEVEL: 1.0}


def residuals(features: dict[str, float], level: float, count: int, *, seed: int = 1) -> list[Residual]:
    source = random.Random(seed)
    return [Residual(features, level + source.gauss(0, 0.03)) for _ in range(count)]


def test_noise_around_nothing_earns_no_correction() -> None:
    kept = sum(fit_adjustment(residuals(ALONE, 0.0, 30, seed=seed)) != IDENTITY for seed in range(20))
    assert kept <= 4


def test_a_bias_is_corrected_after_a_few_executions() -> None:
    assert fit_adjustment(residuals(ALONE, 0.4, 5)).log_factor(ALONE) == pytest.approx(0.4, abs=0.06)


def test_intervals_are_normal_until_errors_were_seen() -> None:
    assert deviations([]) == NINE_IN_TEN


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_intervals_hold_nine_of_ten_whatever_the_true_error(scale: float) -> None:
    source = random.Random(4)
    surprises = [Surprise(source.gauss(0, scale * 0.05), 0.05) for _ in range(600)]
    held = [abs(each.log_ratio) <= deviations(surprises[:index][-128:]) * 0.05 for index, each in enumerate(surprises)]
    assert 0.87 <= sum(held[50:]) / len(held[50:]) <= 0.94


def test_intervals_widen_when_errors_grow() -> None:
    calm = [Surprise(0.02 * (-1) ** index, 0.05) for index in range(60)]
    assert deviations([*calm, *[Surprise(0.3, 0.05)] * 20]) > 2 * deviations(calm)
