"""Recordings of what real browsers did: reading them, learning from them, predicting what was asked then."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict

from corun.predictor import converters
from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.learning import examine, learn
from corun.predictor.core.prediction import Prediction, predict
from corun.predictor.executions import report_of
from corun.v1 import predictor_service_pb2 as predictor_pb2


def read(file: Path) -> Any:
    """What `tests.bench.recording` wrote."""
    return json.loads(gzip.decompress(file.read_bytes()))


def taught(knowledge: Knowledge, told: dict[str, Any]) -> Knowledge:
    """The knowledge with one request to observe learnt."""
    report = report_of(ParseDict(told, predictor_pb2.ObserveRequest()))
    return learn(knowledge, examine(knowledge, report).lessons)


def predicted(knowledge: Knowledge, asked: dict[str, Any]) -> Prediction:
    """What is predicted now for a request to recommend a strategy."""
    request = ParseDict(asked, predictor_pb2.RecommendStrategyRequest()).prediction
    return predict(
        knowledge,
        converters.workload_of(request.workload),
        converters.environment_of(request.environment),
        batching_size=request.batching_size,
    )
