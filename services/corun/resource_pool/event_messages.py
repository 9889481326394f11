"""What happens while a plan is carried out, as messages of the stream."""

from __future__ import annotations

from corun.resource_pool.conversion import from_array, from_fallback, from_item_result, origin_value
from corun.resource_pool.core import events
from corun.resource_pool.core.measurement import LaneUse, TimedRun
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages


def from_event(event: events.Event, *, sequence: int) -> messages.ExecutePlanResponse:
    """The event, numbered and timed."""
    response = messages.ExecutePlanResponse(sequence=sequence)
    response.event_time.GetCurrentTime()
    match event:
        case events.Leased():
            response.leased.CopyFrom(
                messages.Leased(
                    connection_id=event.connection_id,
                    engine=event.engine,
                    adapter=event.adapter,
                    software_adapter=event.software_adapter,
                    queue_time_ms=event.queue_time_ms,
                )
            )
        case events.ModelLoaded():
            response.model_loaded.CopyFrom(
                messages.ModelLoaded(
                    model_name=event.model_name,
                    lane=event.lane,
                    load_time_ms=event.load_time_ms,
                    weights_origin=origin_value(event.weights_origin),
                    already_loaded=event.already_loaded,
                )
            )
        case events.WarmedUp():
            response.warmed_up.warmup_time_ms = event.warmup_time_ms
        case events.RunStarted():
            response.run_started.CopyFrom(
                messages.RunStarted(iteration=event.iteration, stage=event.stage, run=event.run)
            )
        case events.RunFinished():
            timed = event.timed
            response.run_finished.CopyFrom(
                messages.RunFinished(
                    iteration=timed.iteration, stage=timed.stage, run=timed.run, run_time_ms=timed.run_time_ms
                )
            )
        case events.IterationFinished():
            response.iteration_finished.CopyFrom(
                messages.IterationFinished(iteration=event.iteration, latency_ms=event.latency_ms)
            )
        case events.Retried():
            response.retried.cause = event.cause
        case events.MemberDone():
            response.output.CopyFrom(
                messages.MemberOutput(
                    member=event.member,
                    model_name=event.model_name,
                    outputs=[from_array(name, array) for name, array in event.outputs.items()],
                    results=[from_item_result(result) for result in event.results],
                )
            )
        case events.Measured():
            response.measured.CopyFrom(_from_measured(event))
    return response


def _from_measured(measured: events.Measured) -> messages.Measurement:
    return messages.Measurement(
        performance=core_pb2.Performance(
            latency_ms=measured.figures.latency_ms,
            throughput_items_per_second=measured.figures.throughput_items_per_second,
            memory_mb=measured.figures.memory_mb,
        ),
        iteration_latencies_ms=measured.iteration_latencies_ms,
        runs=[_from_timed_run(run) for run in measured.runs],
        queue_time_ms=measured.queue_time_ms,
        load_time_ms=measured.load_time_ms,
        warmup_time_ms=measured.warmup_time_ms,
        memory_sampling_interval_ms=measured.memory.sampling_interval_ms,
        memory_sample_count=measured.memory.sample_count,
        engine=measured.engine,
        adapter=measured.adapter,
        software_adapter=measured.software_adapter,
        weights_origins={name: origin_value(origin) for name, origin in measured.weights_origins.items()},
        model_sha256s=measured.model_sha256s,
        retry_count=measured.retry_count,
        lanes=[_from_lane_use(lane) for lane in measured.lanes],
        fallbacks=[message for each in measured.fallbacks if (message := from_fallback(each)) is not None],
        boundary_bytes=sum(run.boundary_bytes for run in measured.runs),
        other_programs_cores=measured.other_programs_cores,
    )


def _from_timed_run(run: TimedRun) -> messages.RunMeasurement:
    return messages.RunMeasurement(
        iteration=run.iteration,
        stage=run.stage,
        run=run.run,
        model_name=run.model_name,
        batch_size=run.batch_size,
        lane_width=run.lane_width,
        run_time_ms=run.run_time_ms,
        concurrency=run.concurrency,
        engine=run.engine,
        connection_id=run.connection_id,
        boundary_bytes=run.boundary_bytes,
        replica=run.replica,
    )


def _from_lane_use(lane: LaneUse) -> messages.LaneMeasurement:
    return messages.LaneMeasurement(
        lane=lane.lane,
        replica=lane.replica,
        connection_id=lane.connection_id,
        engine=lane.engine,
        adapter=lane.adapter,
        software_adapter=lane.software_adapter,
        width=lane.width,
        wasm_memory_mb=lane.wasm_memory_mb,
        model_names=lane.model_names,
    )
