"""The guide's validator on services of its own, without browsers, and the clients' calls behind it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from corun.plumbing.channel import open_channel
from corun.v1.validator_service_pb2_grpc import ValidatorServiceStub
from corun_client import (
    AlreadyExists,
    InvalidArgument,
    MultiModelEmpiricalValidator,
    MultiModelResourcePoolIntegration,
    NotInitialized,
    ValidationDataset,
    connect_async,
)
from tests.fakes.validations import hosted_validator, recorded

MODELS = [
    {"model_name": "bert", "model_type": "text_embedding", "batch_size": 4},
    {"model_name": "vit", "model_type": "vision", "batch_size": 1},
]
MEASURED = {"latency": 100.0, "throughput": 50.0, "memory": 400.0}


@pytest.fixture
def validator(tmp_path: Path) -> Iterator[MultiModelEmpiricalValidator]:
    with MultiModelEmpiricalValidator(db_path=tmp_path / "v.duckdb", refinement_interval=5) as opened:
        yield opened


def validate(validator: MultiModelEmpiricalValidator, error: float, **changes: Any) -> Any:
    """One validation whose latency was predicted with this relative error, signed."""
    given: dict[str, Any] = {
        "prediction": MEASURED | {"latency": 100 * (1 + error)},
        "actual_measurement": MEASURED,
        "model_configs": MODELS,
        "hardware_platform": "wasm",
        "execution_strategy": "parallel",
    }
    return validator.validate_prediction(**(given | changes))


def test_a_validation_tells_errors_and_bias_and_is_counted(validator: MultiModelEmpiricalValidator) -> None:
    report = validate(validator, -0.2, execution_id="e1")
    assert report["execution_id"] == "e1"
    assert report["error_rates"] == {"latency": pytest.approx(0.2), "throughput": 0, "memory": 0}
    assert report["bias"]["latency"] == pytest.approx(-0.2)
    assert (report["within_threshold"], report["validation_count"]) == (False, 1)
    with pytest.raises(AlreadyExists):
        validate(validator, 0.5, execution_id="e1")


def test_a_report_of_an_execution_is_prediction_and_measurement(validator: MultiModelEmpiricalValidator) -> None:
    report = {f"{side}_{figure}": value for side in ("predicted", "actual") for figure, value in MEASURED.items()}
    found = validate(validator, 0, prediction=report, actual_measurement=report | {"actual_latency": 80.0})
    assert found["error_rates"]["latency"] == pytest.approx(0.25)


def test_numbers_of_numpy_are_numbers(validator: MultiModelEmpiricalValidator) -> None:
    found = validate(validator, 0, actual_measurement={name: np.float32(value) for name, value in MEASURED.items()})
    assert found["error_rates"] == {"latency": 0, "throughput": 0, "memory": 0}


def test_metrics_have_windows_bias_trends_groups_and_history(validator: MultiModelEmpiricalValidator) -> None:
    for number in range(12):
        strategy = ("parallel", "sequential")[number % 2]
        validate(validator, 0.05 * number, execution_strategy=strategy, execution_id=f"e{number}")
    metrics = validator.get_validation_metrics(include_history=True)
    assert (metrics["validation_count"], metrics["execution_count"]) == (12, 12)
    assert metrics["error_rates"]["avg_latency_error"] == pytest.approx(0.05 * 5.5)
    assert metrics["error_rates"]["recent_latency_error"] == pytest.approx(0.05 * 6.5)  # the newest ten
    assert metrics["error_rates"]["earlier_latency_error"] == pytest.approx(0.025)  # the first two
    assert metrics["error_bias"]["avg_latency_bias"] == pytest.approx(0.05 * 5.5)
    trend = metrics["error_trends"]["latency"]
    assert (trend["direction"], trend["validation_count"]) == ("worsening", 12)
    assert trend["strength"] == pytest.approx(1.0)  # from 0 to 0.55
    assert trend["slope_per_validation"] == pytest.approx(0.05)
    assert metrics["error_trends"]["memory"]["direction"] == "stable"
    assert metrics["platform_trends"]["wasm"]["latency"]["direction"] == "worsening"
    assert metrics["strategy_trends"]["parallel"]["latency"]["direction"] == "insufficient_data"
    assert metrics["strategy_metrics"]["sequential"]["validation_count"] == 6
    assert [point["execution_id"] for point in metrics["history"]] == [f"e{number}" for number in range(12)]
    assert metrics["history"][0]["end_time"].tzinfo is UTC
    assert metrics["refinements"] == []


def test_trends_can_be_switched_off_and_history_is_only_there_on_request(tmp_path: Path) -> None:
    with MultiModelEmpiricalValidator(db_path=tmp_path / "v.duckdb", enable_trend_analysis=False) as validator:
        validate(validator, 0.1)
        metrics = validator.get_validation_metrics()
    assert "error_trends" not in metrics
    assert "history" not in metrics
    assert metrics["error_rates"]["avg_latency_error"] == pytest.approx(0.1)


def test_recommendations_follow_the_errors_and_rest_after_a_refinement(validator: MultiModelEmpiricalValidator) -> None:
    nothing = validator.get_refinement_recommendations()
    assert (nothing["refinement_needed"], nothing["recommended_method"]) == (False, None)
    for _ in range(10):
        validate(validator, 0.4)
    needed = validator.get_refinement_recommendations()
    assert (needed["refinement_needed"], needed["recommended_method"]) == (True, "window")
    assert (needed["affected_platforms"], needed["affected_strategies"]) == (["wasm"], ["parallel"])
    assert (needed["validation_count"], needed["refinement_interval"]) == (10, 5)
    assert needed["findings"][0]["consistent_biases"] == ["latency"]
    report = validator.record_model_refinement(
        {"latency": 0.4}, {"latency": 0.1}, "window", hardware_platform="wasm", refinement_id="r1"
    )
    assert report == {
        "refinement_id": "r1",
        "newly_recorded": True,
        "refinement_count": 1,
        "improvement": {"latency": pytest.approx(0.75)},
    }
    assert not validator.get_refinement_recommendations()["refinement_needed"]
    (kept,) = validator.get_validation_metrics(include_history=True)["refinements"]
    assert (kept["method"], kept["hardware_platform"], kept["accepted"]) == ("window", "wasm", True)


def test_the_dataset_is_complete_as_records_as_arrow_and_as_pandas(validator: MultiModelEmpiricalValidator) -> None:
    for number in range(3):
        validate(validator, 0.1 * number, execution_id=f"e{number}", engine="chromium", predictor_version="7")
    dataset = validator.generate_validation_dataset("wasm")
    assert [record["execution_id"] for record in dataset] == ["e0", "e1", "e2"]
    record = dataset[1]
    assert record["models"] == MODELS
    assert (record["engine"], record["predictor_version"], record["plan"]) == ("chromium", "7", None)
    assert [record["latency_error"], record["latency_bias"]] == pytest.approx([0.1, 0.1])
    table = dataset.to_arrow()
    assert table.num_rows == 3
    assert table.to_pylist() == list(dataset)
    frame = dataset.to_pandas()
    assert list(frame["predicted_latency"]) == pytest.approx([100, 110, 120])
    assert frame["end_time"].max() <= datetime.now(UTC)
    assert len(validator.generate_validation_dataset(max_records=2)) == 2
    assert len(validator.generate_validation_dataset("webgpu").to_pandas()) == 0


def test_an_empty_dataset_has_the_same_columns() -> None:
    empty = ValidationDataset([]).to_arrow()
    assert {"execution_id", "plan", "runs", "latency_bias"} <= set(empty.column_names)
    assert str(empty.schema.field("end_time").type) == "timestamp[us, tz=UTC]"
    assert str(empty.schema.field("queue_time_ms").type) == "double"


@pytest.mark.parametrize("metric_type", ["error_rates", "trends", "hardware", "strategy"])
def test_every_visualization_can_be_saved_and_shows_in_a_notebook(
    validator: MultiModelEmpiricalValidator, metric_type: str, tmp_path: Path
) -> None:
    for number in range(12):
        validate(validator, 0.02 * number)
    visualization = validator.visualize_validation_metrics(metric_type=metric_type)
    assert (visualization["success"], visualization["validation_count"]) == (True, 12)
    visualization["figure"].savefig(tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as saved:
        assert saved.format == "PNG"
    shown: Any = visualization["figure"]
    assert Image.open(io.BytesIO(shown._repr_png_())).format == "PNG"


def test_a_visualization_says_why_there_is_none(validator: MultiModelEmpiricalValidator, tmp_path: Path) -> None:
    empty = validator.visualize_validation_metrics()
    assert (empty["success"], empty["reason"]) == (False, "there are no validations on record")
    disabled = MultiModelEmpiricalValidator(enable_visualization=False).visualize_validation_metrics()
    assert (disabled["success"], "disabled" in disabled["reason"]) == (False, True)
    with pytest.raises(InvalidArgument, match="metric_type: 'pie' is not known; allowed: error_rates"):
        validator.visualize_validation_metrics("pie")


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"prediction": {"latency": 1.0, "throughput": 1.0}}, "prediction.memory"),
        ({"prediction": MEASURED | {"latency": float("nan")}}, "prediction.latency"),
        ({"actual_measurement": MEASURED | {"memory": -1}}, "actual_measurement.memory"),
        ({"actual_measurement": [1, 2, 3]}, "actual_measurement"),
        ({"actual_measurement": MEASURED | {"throughput": "50"}}, "actual_measurement.throughput"),
        ({"model_configs": []}, "execution.workload.models"),
        ({"hardware_platform": "tpu"}, "hardware_platform"),
        ({"execution_strategy": None}, "execution_strategy"),
        ({"optimization_goal": "fun"}, "optimization_goal"),
        ({"execution_id": ""}, "execution.execution_id"),
        ({"actual_measurement": MEASURED | {"latency": 0}}, "execution.measured.latency_ms"),
    ],
)
def test_a_validation_that_cannot_be_is_refused_by_its_parameter(
    validator: MultiModelEmpiricalValidator, changes: dict[str, Any], parameter: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        validate(validator, 0.1, **changes)
    assert caught.value.violations[0].field == parameter
    assert validator.get_validation_metrics()["validation_count"] == 0


@pytest.mark.parametrize(
    ("arguments", "parameter"),
    [
        (({"latency": 0.4}, {"latency": 0.1}, "magic"), "refinement_method"),
        (({"speed": 0.4}, {}, "window"), "pre_refinement_errors.speed"),
        (({}, {"latency": float("inf")}, "window"), "post_refinement_errors.latency"),
        ((0.4, {}, "window"), "pre_refinement_errors"),
    ],
)
def test_a_refinement_that_cannot_be_is_refused_by_its_parameter(arguments: tuple[Any, ...], parameter: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        MultiModelEmpiricalValidator(target="127.0.0.1:1").record_model_refinement(*arguments)
    assert caught.value.violations[0].field == parameter


def test_a_time_without_a_zone_is_refused(validator: MultiModelEmpiricalValidator) -> None:
    with pytest.raises(InvalidArgument, match="after_time: expected a datetime with a time zone"):
        validator.generate_validation_dataset(after_time=datetime(2026, 11, 1))  # noqa: DTZ001  # that is the point


def test_a_closed_validator_says_so_and_gave_its_database_back(tmp_path: Path) -> None:
    validator = MultiModelEmpiricalValidator(db_path=tmp_path / "v.duckdb")
    validate(validator, 0.1)
    validator.close()
    validator.close()
    with pytest.raises(NotInitialized, match="this validator is closed"):
        validator.get_validation_metrics()
    with MultiModelEmpiricalValidator(db_path=tmp_path / "v.duckdb") as again:
        assert again.get_validation_metrics()["validation_count"] == 1


def test_a_validator_works_before_during_and_after_the_integration_that_uses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORUN_PREDICTOR_STATE_FOLDER", str(tmp_path / "predictor"))
    monkeypatch.setenv("CORUN_RESOURCE_POOL_PROBE_AT_START", "false")
    validator = MultiModelEmpiricalValidator(db_path=tmp_path / "v.duckdb", validation_history_size=50)
    validate(validator, 0.1)
    with MultiModelResourcePoolIntegration(validator=validator, max_connections=1) as integration:
        validate(validator, 0.3)
        assert integration.get_validation_metrics() == validator.get_validation_metrics()
        assert integration.get_validation_metrics()["validation_count"] == 2
    assert validator.get_validation_metrics()["validation_count"] == 2
    validator.close()


async def test_the_asyncio_client_asks_a_validator_that_is_hosted_alone(tmp_path: Path) -> None:
    async with hosted_validator(tmp_path / "v.duckdb") as target:
        async with open_channel(target) as channel:
            for number in range(10):
                await recorded(ValidatorServiceStub(channel), f"e{number}", latency=0.4)
        async with connect_async(target) as client:
            assert (await client.metrics(platform="wasm", recent_count=3))["validation_count"] == 10
            assert (await client.refinement_recommendations(refinement_interval=5))["refinement_needed"]
            records = [record async for record in client.validation_dataset()]
            refined = await client.record_model_refinement(errors_before={}, errors_after={}, method="weighted")
            validated = await client.validate_prediction(
                prediction=MEASURED,
                actual_measurement=MEASURED,
                model_configs=MODELS,
                hardware_platform="webnn",
                execution_strategy="batched",
            )
    assert len(records) == 10
    assert refined["newly_recorded"]
    assert validated["validation_count"] == 11
