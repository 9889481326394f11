"""What happened when another program took a core and gave it back, learnt again.

Each file of `recorded_drift` is one `tests.bench.bench_drift` on an otherwise idle machine with two cores: what the
predictor was told and asked, and what was measured, in its order (WebAssembly in Chromium, four models). Every
execution is predicted by what was told before it.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from corun.predictor.core.knowledge import Knowledge
from tests.unit.predictor.recordings import predicted, read, taught

FILES = sorted((Path(__file__).parent / "recorded_drift").glob("*.json.gz"))
QUIET, LOADED, QUIET_AGAIN = "quiet", "a core is taken", "quiet again"
# Executions after which a change has to be known.
KNOWN_AFTER = 5


class Errors(defaultdict[str, list[float]]):
    """Of latency, by phase, as shares of what was measured; and what they may be."""

    def __init__(self, file: Path) -> None:
        super().__init__(list)
        self.target: dict[str, float] = {}
        knowledge = Knowledge()
        for step in read(file):
            if "observe" in step:
                knowledge = taught(knowledge, step["observe"])
            elif "noise_floor" in step:
                self.target[step["phase"]] = max(0.10, 1.5 * step["noise_floor"])
            else:
                expected_ms = latency_ms(knowledge, step["asked"], step["strategy"])
                self[step["phase"]].append(abs(expected_ms / step["measured_ms"] - 1))


def latency_ms(knowledge: Knowledge, asked: dict[str, Any], strategy: str) -> float:
    predictions = predicted(knowledge, asked).predictions
    return next(each.latency_ms.value for each in predictions if each.strategy == strategy)


@pytest.fixture(scope="module", params=FILES, ids=lambda file: file.name)
def errors(request: pytest.FixtureRequest) -> Errors:
    return Errors(request.param)


@pytest.mark.parametrize("phase", [LOADED, QUIET_AGAIN])
def test_a_few_executions_after_a_change_predictions_hold_again(errors: Errors, phase: str) -> None:
    assert fmean(errors[phase][:2]) > 0.25  # nobody could know before
    assert fmean(errors[phase][KNOWN_AFTER:]) <= errors.target[phase]
