"""Results to the guide's dicts."""

from __future__ import annotations

from corun.v1 import core_pb2
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun.v1 import resource_pool_service_pb2 as pool_pb2
from corun.v1 import validator_service_pb2 as validator_pb2
from corun_client.conversion.execution import comparison_report, execution_report
from corun_client.conversion.metrics import metrics_report
from tests.fakes.client_services import compared, completed, in_two_browsers

WORKLOAD = core_pb2.Workload(models=[core_pb2.ModelConfig(model_name="bert-base-uncased", batch_size=4)])
EXECUTE = orchestrator_pb2.ExecuteWithStrategyRequest(workload=WORKLOAD, platform=core_pb2.PLATFORM_WASM)
COMPARE = orchestrator_pb2.CompareStrategiesRequest(
    workload=WORKLOAD, platform=core_pb2.PLATFORM_WASM, goal=core_pb2.OPTIMIZATION_GOAL_THROUGHPUT
)


def test_an_execution_has_the_guides_keys_and_values() -> None:
    report = execution_report(EXECUTE, completed().completed)
    assert report["success"] is True
    assert (report["execution_strategy"], report["recommended_strategy"]) == ("parallel", "sequential")
    assert (report["predicted_latency"], report["actual_latency"]) == (100, 125)
    assert (report["predicted_throughput"], report["actual_throughput"]) == (40, 32)
    assert (report["predicted_memory"], report["actual_memory"]) == (500, 400)
    assert report["intervals"] == {"latency": [90, 110], "throughput": [36, 44], "memory": [450, 550]}
    assert (report["hardware_platform"], report["optimization_goal"]) == ("wasm", "latency")
    assert (report["engine"], report["adapter"], report["software_adapter"]) == ("chromium", "SwiftShader", True)
    assert report["predictor_version"] == "v7"
    assert report["warnings"] == ["memory was sampled once"]


def test_a_model_is_reported_with_its_own_type_its_batch_size_and_seeded_weights() -> None:
    assert execution_report(EXECUTE, completed().completed)["models"] == [
        {
            "model_name": "bert-base-uncased",
            "model_type": "text_embedding",
            "batch_size": 4,
            "weights_origin": "SEEDED",
            "source": "seed 1",
        }
    ]


def test_lanes_fallbacks_and_boundary_bytes_are_reported_as_measured() -> None:
    report = execution_report(EXECUTE, completed(measured=in_two_browsers()).completed)
    assert [(lane["engine"], lane["model_names"]) for lane in report["lanes"]] == [
        ("chromium", ["bert-base-uncased"]),
        ("firefox", ["vit-base-patch16-224"]),
    ]
    assert report["fallbacks"] == [
        {"model_type": "vision", "preferred": "edge", "used": "firefox", "reason": "msedge is not installed"}
    ]
    assert report["boundary_bytes"] == 4096


def test_a_run_says_in_which_browser_it_ran_and_what_crossed_the_boundary() -> None:
    run = pool_pb2.RunMeasurement(engine="firefox", connection_id="c-2", boundary_bytes=12, replica=1)
    report = execution_report(EXECUTE, completed(measured=pool_pb2.Measurement(runs=[run])).completed)["runs"][-1]
    assert (report["engine"], report["connection_id"], report["boundary_bytes"], report["replica"]) == (
        "firefox",
        "c-2",
        12,
        1,
    )


def test_error_rates_are_there_only_when_the_execution_was_validated_and_only_those_known() -> None:
    plain = execution_report(EXECUTE, completed().completed)
    assert plain["validated"] is False
    assert "error_rates" not in plain
    errors = validator_pb2.ErrorRates(latency=0.2)
    validated = execution_report(EXECUTE, completed(errors=errors).completed)
    assert validated["validated"] is True
    assert validated["error_rates"] == {"latency": 0.2}


def test_a_comparison_has_the_guides_keys_and_values() -> None:
    report = comparison_report(COMPARE, compared().completed)
    assert (report["best_strategy"], report["recommended_strategy"]) == ("parallel", "sequential")
    assert report["recommendation_accuracy"] == 1.0
    assert report["tied_strategies"] == ["parallel", "sequential"]
    assert report["optimization_impact"]["improvement_percent"] == 12.5
    assert report["optimization_goal"] == "throughput"
    parallel = report["strategy_results"]["parallel"]
    assert (parallel["latency"], parallel["throughput"], parallel["memory"]) == (120, 8, 300)
    assert (parallel["noise"], parallel["rounds"]) == (0.05, [{"latency": 120, "throughput": 8, "memory": 300}])


def test_a_strategy_that_failed_has_an_error_and_no_figures() -> None:
    batched = comparison_report(COMPARE, compared().completed)["strategy_results"]["batched"]
    assert batched["error"] == {"code": "UNAVAILABLE", "reason": "", "message": "the browser was lost"}
    assert "latency" not in batched
    assert "rounds" not in batched


def test_metrics_of_an_empty_database_have_counts_and_no_rates() -> None:
    report = metrics_report(validator_pb2.GetValidationMetricsResponse(error_threshold=0.15, database_path="/x"))
    assert (report["validation_count"], report["execution_count"]) == (0, 0)
    assert "error_rates" not in report
    assert "optimization_impact" not in report


def test_metrics_are_flat_fractions_by_average_and_recent() -> None:
    summary = validator_pb2.ErrorSummary(
        validation_count=4,
        average=validator_pb2.ErrorRates(latency=0.2, memory=0.0),
        recent=validator_pb2.ErrorRates(latency=0.1),
    )
    impact = validator_pb2.OptimizationImpact(
        comparison_count=2,
        average_improvement_percent=-3.5,
        recommendation_accuracy=0.5,
        best_strategy_counts={"parallel": 2},
    )
    report = metrics_report(
        validator_pb2.GetValidationMetricsResponse(
            overall=summary, by_platform={"wasm": summary}, optimization_impact=impact
        )
    )
    rates = {"avg_latency_error": 0.2, "avg_memory_error": 0.0, "recent_latency_error": 0.1}
    assert report["error_rates"] == rates
    assert report["platform_metrics"] == {"wasm": {"validation_count": 4, **rates}}
    assert report["optimization_impact"] == {
        "comparison_count": 2,
        "avg_improvement_percent": -3.5,
        "recommendation_accuracy": 0.5,
    }
    assert report["strategy_distribution"] == {"parallel": 2}
