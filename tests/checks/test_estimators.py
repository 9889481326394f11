"""What every estimator of a correction keeps to: the methods of refinement, the quick adjustment, and none at all."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from corun.predictor.core.adjustment import Residual, fit_adjustment
from corun.predictor.core.correction import IDENTITY, LARGEST_FACTOR, LEVEL, LinearCorrection
from corun.predictor.core.estimators import Method, Sample
from corun.predictor.core.refinement import ESTIMATORS, mean_error
from corun.predictor.core.version import ModelVersion
from corun.predictor.core.workload import Platform
from corun.predictor.versions import VersionStore

Fit = Callable[[Sequence[Sample], LinearCorrection], LinearCorrection]


@dataclass(frozen=True)
class Subject:
    """An estimator under test: does it learn, may other platforms' samples count, does it claim to be monotone?"""

    name: str
    fit: Fit
    learns: bool = True
    shares_platforms: bool = False
    monotone: bool = False


def refined(method: Method) -> Fit:
    return lambda samples, start: ESTIMATORS[method].fit(samples, platform=Platform.WASM, start=start)


def adjusted(samples: Sequence[Sample], _start: LinearCorrection) -> LinearCorrection:
    own = [each for each in samples if each.platform is Platform.WASM]
    return fit_adjustment([Residual(each.features, each.log_ratio) for each in own])


SUBJECTS = [
    Subject("identity", lambda _samples, _start: IDENTITY, learns=False, monotone=True),
    Subject("adjustment", adjusted),
    Subject("incremental", refined(Method.INCREMENTAL)),
    Subject("window", refined(Method.WINDOW)),
    Subject("weighted", refined(Method.WEIGHTED), shares_platforms=True),
]


@pytest.fixture(params=SUBJECTS, ids=lambda subject: subject.name)
def subject(request: pytest.FixtureRequest) -> Subject:
    assert isinstance(request.param, Subject)
    return request.param


def features(source: random.Random) -> dict[str, float]:
    share = source.choice([0.0, source.random()])
    return {LEVEL: 1.0, "shared": share, "batch": source.random(), "model:a:alone": 1 - share, "model:a:shared": share}


def samples(count: int, *, seed: int = 1, platform: Platform = Platform.WASM, level: float = 0.2) -> list[Sample]:
    """A level, a cost of sharing, and noise of 3 %."""
    source = random.Random(seed)
    rows = [features(source) for _ in range(count)]
    return [Sample(platform, row, level + 0.3 * row["shared"] + source.gauss(0, 0.03)) for row in rows]


def test_it_predicts_samples_that_it_was_not_fitted_on(subject: Subject) -> None:
    correction = subject.fit(samples(80), IDENTITY)
    after, before = mean_error(correction, samples(40, seed=2)), mean_error(IDENTITY, samples(40, seed=2))
    assert after < 0.05 if subject.learns else after == before


@pytest.mark.parametrize("count", [1, 2, 3, 5, 13, 300])
def test_any_number_of_samples_gives_finite_weights_of_features(subject: Subject, count: int) -> None:
    correction = subject.fit(samples(count), IDENTITY)
    assert all(math.isfinite(weight) for weight in correction.weights.values())
    assert correction.weights.keys() <= samples(1)[0].features.keys()


@pytest.mark.parametrize("value", [0.0, 1.0, 1e6, -1e6])
def test_factors_are_positive_and_bounded_whatever_the_plan(subject: Subject, value: float) -> None:
    correction = subject.fit(samples(40), IDENTITY)
    factor = math.exp(correction.log_factor(dict.fromkeys([*samples(1)[0].features, "never seen"], value)))
    assert factor * (1 + 1e-9) >= 1 / LARGEST_FACTOR
    assert factor <= LARGEST_FACTOR * (1 + 1e-9)


def test_the_same_samples_give_the_same_correction(subject: Subject) -> None:
    assert subject.fit(samples(60), IDENTITY) == subject.fit(samples(60), IDENTITY)


def test_one_wild_sample_in_twenty_moves_it_little(subject: Subject) -> None:
    taught = samples(80)
    wild = [Sample(each.platform, each.features, 2.0) if index % 20 == 7 else each for index, each in enumerate(taught)]
    if subject.learns:
        assert mean_error(subject.fit(wild, IDENTITY), samples(40, seed=2)) < 0.10


@pytest.mark.parametrize("subject", [each for each in SUBJECTS if each.monotone], ids=lambda subject: subject.name)
def test_it_is_monotone_in_the_batch_where_it_claims_to_be(subject: Subject) -> None:
    correction = subject.fit(samples(60), IDENTITY)
    factors = [correction.log_factor({LEVEL: 1.0, "batch": batch}) for batch in (0.0, 0.5, 1.0, 2.0)]
    assert factors == sorted(factors)


@pytest.mark.parametrize(
    "subject", [each for each in SUBJECTS if not each.shares_platforms], ids=lambda subject: subject.name
)
def test_samples_of_another_platform_do_not_count(subject: Subject) -> None:
    foreign = samples(40, seed=3, platform=Platform.WEBGPU, level=-1.0)
    mixed = [each for pair in zip(samples(40), foreign, strict=True) for each in pair]
    assert subject.fit(mixed, IDENTITY) == subject.fit(samples(40), IDENTITY)


def test_what_shares_platforms_still_follows_its_own(subject: Subject) -> None:
    foreign = samples(80, seed=3, platform=Platform.WEBGPU, level=-1.0)
    mixed = [each for pair in zip(samples(80), foreign, strict=True) for each in pair]
    if subject.learns:
        assert mean_error(subject.fit(mixed, IDENTITY), samples(40, seed=2)) < 0.06


def test_it_is_the_same_after_being_stored(subject: Subject, tmp_path: Path) -> None:
    correction = subject.fit(samples(60), IDENTITY)
    version = ModelVersion(
        method=Method.WINDOW, platform=Platform.WASM, created=1.5, corrections={Platform.WASM: correction}
    )
    stored = VersionStore(tmp_path).add(version)
    assert VersionStore(tmp_path).serving == stored
    assert stored.corrections[Platform.WASM] == correction
