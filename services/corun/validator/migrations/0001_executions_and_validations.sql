-- Executions with their runs, validations of predictions, and comparisons of strategies.
-- Times are in UTC. Columns named as in the guide carry their units in comments.

CREATE TABLE executions (
    execution_id VARCHAR PRIMARY KEY,
    end_time TIMESTAMP NOT NULL,
    recorded_time TIMESTAMP NOT NULL,
    platform VARCHAR NOT NULL CHECK (platform IN ('webgpu', 'webnn', 'wasm')),
    strategy VARCHAR NOT NULL CHECK (strategy IN ('parallel', 'sequential', 'batched')),
    strategy_chosen BOOLEAN NOT NULL,
    optimization_goal VARCHAR NOT NULL CHECK (optimization_goal IN ('latency', 'throughput', 'memory')),
    engine VARCHAR NOT NULL,
    adapter VARCHAR NOT NULL,
    model_count INTEGER NOT NULL,
    model_configs JSON NOT NULL,
    iterations INTEGER NOT NULL,
    plan JSON,
    predictor_version VARCHAR NOT NULL,
    predicted_latency_ms DOUBLE,
    predicted_throughput_items_per_second DOUBLE,
    predicted_memory_mb DOUBLE,
    measured_latency_ms DOUBLE NOT NULL,
    measured_throughput_items_per_second DOUBLE NOT NULL,
    measured_memory_mb DOUBLE NOT NULL,
    queue_time_ms DOUBLE NOT NULL,
    load_time_ms DOUBLE NOT NULL,
    content_sha256 VARCHAR NOT NULL
);
COMMENT ON COLUMN executions.content_sha256 IS 'Of what was run and measured: tells a repetition from a contradiction';

-- No key of its own: runs are only ever written in the transaction that writes their execution.
CREATE TABLE runs (
    execution_id VARCHAR NOT NULL,
    run_index INTEGER NOT NULL,
    model_name VARCHAR NOT NULL,
    batch_size INTEGER NOT NULL,
    lane_width INTEGER NOT NULL,
    concurrency INTEGER NOT NULL,
    run_time_ms DOUBLE NOT NULL
);

-- Order of recording. Clocks of callers may disagree, so the newest are not found by timestamp.
CREATE SEQUENCE validation_sequence;

CREATE TABLE multi_model_validation_metrics (
    execution_id VARCHAR PRIMARY KEY,
    validation_number BIGINT NOT NULL DEFAULT nextval('validation_sequence'),
    timestamp TIMESTAMP NOT NULL,
    model_count INTEGER NOT NULL,
    model_configs JSON NOT NULL,
    iterations INTEGER NOT NULL,
    platform VARCHAR NOT NULL CHECK (platform IN ('webgpu', 'webnn', 'wasm')),
    strategy VARCHAR NOT NULL CHECK (strategy IN ('parallel', 'sequential', 'batched')),
    optimization_goal VARCHAR NOT NULL CHECK (optimization_goal IN ('latency', 'throughput', 'memory')),
    engine VARCHAR NOT NULL,
    adapter VARCHAR NOT NULL,
    predictor_version VARCHAR NOT NULL,
    predicted_latency DOUBLE NOT NULL,
    actual_latency DOUBLE NOT NULL,
    latency_error DOUBLE,
    predicted_throughput DOUBLE NOT NULL,
    actual_throughput DOUBLE NOT NULL,
    throughput_error DOUBLE,
    predicted_memory DOUBLE NOT NULL,
    actual_memory DOUBLE NOT NULL,
    memory_error DOUBLE
);
COMMENT ON TABLE multi_model_validation_metrics IS 'Predictions held against measurements; errors are abs(predicted - actual) / actual, NULL where actual is 0';
COMMENT ON COLUMN multi_model_validation_metrics.timestamp IS 'When the execution ended, UTC';
COMMENT ON COLUMN multi_model_validation_metrics.predicted_latency IS 'Milliseconds';
COMMENT ON COLUMN multi_model_validation_metrics.actual_latency IS 'Milliseconds';
COMMENT ON COLUMN multi_model_validation_metrics.predicted_throughput IS 'Items per second';
COMMENT ON COLUMN multi_model_validation_metrics.actual_throughput IS 'Items per second';
COMMENT ON COLUMN multi_model_validation_metrics.predicted_memory IS 'MB (10^6 bytes)';
COMMENT ON COLUMN multi_model_validation_metrics.actual_memory IS 'MB (10^6 bytes)';

CREATE TABLE multi_model_optimization_impact (
    comparison_id VARCHAR PRIMARY KEY,
    timestamp TIMESTAMP NOT NULL,
    model_count INTEGER NOT NULL,
    model_configs JSON NOT NULL,
    iterations INTEGER NOT NULL,
    platform VARCHAR NOT NULL CHECK (platform IN ('webgpu', 'webnn', 'wasm')),
    optimization_goal VARCHAR NOT NULL CHECK (optimization_goal IN ('latency', 'throughput', 'memory')),
    recommended_strategy VARCHAR NOT NULL CHECK (recommended_strategy IN ('parallel', 'sequential', 'batched')),
    best_strategy VARCHAR NOT NULL CHECK (best_strategy IN ('parallel', 'sequential', 'batched')),
    recommendation_correct BOOLEAN NOT NULL,
    improvement_percent DOUBLE NOT NULL,
    strategy_results JSON NOT NULL,
    content_sha256 VARCHAR NOT NULL
);
COMMENT ON TABLE multi_model_optimization_impact IS 'Strategies measured against each other on one workload';
COMMENT ON COLUMN multi_model_optimization_impact.timestamp IS 'When it was recorded, UTC';
COMMENT ON COLUMN multi_model_optimization_impact.improvement_percent IS 'Gain of the recommended strategy over the mean of all measured ones';
COMMENT ON COLUMN multi_model_optimization_impact.strategy_results IS 'By strategy: latency (milliseconds), throughput (items per second), memory (MB)';
