"""The guide's classes as the guide uses them, with services of their own, in a real browser."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.tiny_models import isolated_environment

_GUIDE = """
import json
import psutil
from predictive_performance.multi_model_resource_pool_integration import MultiModelResourcePoolIntegration
from predictive_performance.multi_model_empirical_validation import MultiModelEmpiricalValidator

validator = MultiModelEmpiricalValidator(
    db_path="./validation_metrics.duckdb",
    validation_history_size=200,
    error_threshold=0.10,
    refinement_interval=5,
    enable_trend_analysis=True,
    enable_visualization=True,
)
integration = MultiModelResourcePoolIntegration(
    validator=validator,
    max_connections=1,
    enable_empirical_validation=True,
    validation_interval=2,
    prediction_refinement=True,
    enable_adaptive_optimization=True,
    verbose=True,
)
integration.initialize()
integration.initialize()
try:
    model_configs = [
        {"model_name": "tiny-text", "model_type": "text_embedding", "batch_size": 4},
        {"model_name": "tiny-vision", "model_type": "vision", "batch_size": 1},
    ]
    results = [
        integration.execute_with_strategy(
            model_configs=model_configs,
            hardware_platform="wasm",
            execution_strategy=strategy,
            optimization_goal="throughput",
        )
        for strategy in (None, "sequential")
    ]
    comparison = integration.compare_strategies(
        model_configs=model_configs, hardware_platform="wasm", optimization_goal="throughput", rounds=1
    )
    metrics = integration.get_validation_metrics()
    metrics_of_validator = validator.get_validation_metrics()
    recommendations = validator.get_refinement_recommendations()
    visualization = validator.visualize_validation_metrics(metric_type="error_rates")
    visualization["figure"].savefig("error_rates.png")
    records = validator.generate_validation_dataset(include_unvalidated=True)
    adaptive_config = integration.get_adaptive_configuration("wasm")
    custom_config = {
        "parallel_threshold": 4,
        "sequential_threshold": 10,
        "batching_size": 5,
        "memory_threshold": 6000,
    }
    custom = integration.update_strategy_configuration("wasm", custom_config)
    adapted = integration.update_strategy_configuration("wasm")
finally:
    integration.close()
    integration.close()
left = [process.name() for process in psutil.Process().children(recursive=True) if process.status() != "zombie"]
print(json.dumps({
    "results": results,
    "comparison": comparison,
    "metrics": metrics,
    "same_metrics": metrics == metrics_of_validator,
    "recommendations": recommendations,
    "configurations": [adaptive_config, custom, adapted],
    "records": [[record["plan"] is not None, record["core_count"], record["runs"]] for record in records],
    "left": left,
}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guide")


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    """What the guide's script printed; it ran once."""
    ended = subprocess.run(
        [sys.executable, "-c", _GUIDE],
        capture_output=True,
        text=True,
        env=isolated_environment(folder),
        cwd=folder,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


def test_an_automatic_choice_names_its_strategy_and_its_reason(told: dict[str, Any]) -> None:
    result = told["results"][0]
    assert result["execution_strategy"] in {"parallel", "sequential", "batched"}
    assert result["execution_strategy"] == result["recommended_strategy"]
    assert result["strategy_automatic"] is True
    assert result["strategy_reason"]


def test_a_given_strategy_is_the_one_that_runs(told: dict[str, Any]) -> None:
    assert told["results"][1]["execution_strategy"] == "sequential"


def test_predicted_and_measured_figures_are_positive_and_inside_their_definitions(told: dict[str, Any]) -> None:
    for result in told["results"]:
        assert result["actual_latency"] > 0
        assert result["predicted_latency"] > 0
        low, high = result["intervals"]["latency"]
        assert low <= result["predicted_latency"] <= high
        # five items (4 + 1) in one iteration: throughput is items over the wall time, which latency is nearly all of
        assert result["actual_throughput"] == pytest.approx(5000 / result["actual_latency"], rel=0.5)


def test_every_model_says_where_its_weights_come_from(told: dict[str, Any]) -> None:
    origins = {model["model_name"]: model["weights_origin"] for model in told["results"][0]["models"]}
    assert origins == {"tiny-text": "PRETRAINED", "tiny-vision": "SEEDED"}


def test_the_validation_interval_decides_which_executions_are_validated(told: dict[str, Any]) -> None:
    assert [result["validated"] for result in told["results"]] == [False, True]
    assert set(told["results"][1]["error_rates"]) <= {"latency", "throughput", "memory"}


def test_a_comparison_measures_every_strategy(told: dict[str, Any]) -> None:
    comparison = told["comparison"]
    assert set(comparison["strategy_results"]) == {"parallel", "sequential", "batched"}
    assert comparison["best_strategy"] in comparison["tied_strategies"]
    assert comparison["recommendation_accuracy"] in {0.0, 1.0}
    for strategy in comparison["strategy_results"].values():
        assert strategy["throughput"] > 0


def test_metrics_count_what_ran_and_are_the_same_through_the_validator(told: dict[str, Any]) -> None:
    metrics = told["metrics"]
    assert metrics["validation_count"] >= 1
    assert metrics["execution_count"] >= 2
    assert "avg_latency_error" in metrics["error_rates"]
    assert 0 <= metrics["optimization_impact"]["recommendation_accuracy"] <= 1
    assert metrics["error_threshold"] == pytest.approx(0.10)
    assert told["same_metrics"] is True


def test_the_validators_database_is_the_one_that_was_named(told: dict[str, Any], folder: Path) -> None:
    assert told["metrics"]["database_path"] == str(folder / "validation_metrics.duckdb")
    assert (folder / "validation_metrics.duckdb").exists()


def test_the_validator_recommends_draws_and_gives_complete_records(told: dict[str, Any], folder: Path) -> None:
    # Two executions on wasm of which one was validated, and the three strategies of the comparison.
    assert told["recommendations"]["refinement_needed"] is False
    assert "too little data" in told["recommendations"]["reason"]
    assert (folder / "error_rates.png").stat().st_size > 10_000
    assert len(told["records"]) == told["metrics"]["execution_count"]
    for has_plan, core_count, runs in told["records"]:
        assert (has_plan, core_count) == (True, 2)
        assert {(run["stage"] is None, run["run"] is None) for run in runs} == {(False, False)}


def test_the_configuration_is_adapted_or_set_by_the_guides_keys(told: dict[str, Any]) -> None:
    adaptive, custom, adapted = told["configurations"]
    keys = ("parallel_threshold", "sequential_threshold", "batching_size", "memory_threshold")
    assert [adaptive[key] for key in keys] == [None, None, 2, None]
    assert [custom[key] for key in keys] == [4, 10, 5, 6000]
    # One execution was validated, and three rounds of the comparison.
    assert (adaptive["sufficient_data"], adapted["updated"]) == (False, False)
    assert adaptive["reason"] == adapted["reason"] == "4 validations on wasm, 5 are needed"
    assert [adapted[key] for key in keys] == [4, 10, 5, 6000]


def test_closing_leaves_no_process_behind(told: dict[str, Any]) -> None:
    assert told["left"] == []
