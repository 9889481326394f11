-- Refinements of the predictor, and what a refinement needs to know of an execution. NULL: recorded before this was kept.

ALTER TABLE executions ADD COLUMN core_count INTEGER;

ALTER TABLE runs ADD COLUMN stage INTEGER;
ALTER TABLE runs ADD COLUMN run INTEGER;
ALTER TABLE runs ADD COLUMN iteration INTEGER;
ALTER TABLE runs ADD COLUMN replica INTEGER;
ALTER TABLE runs ADD COLUMN engine VARCHAR;

CREATE TABLE model_refinements (
    refinement_id VARCHAR PRIMARY KEY,
    refine_time TIMESTAMP NOT NULL,
    platform VARCHAR CHECK (platform IN ('webgpu', 'webnn', 'wasm')),
    method VARCHAR NOT NULL CHECK (method IN ('incremental', 'window', 'weighted')),
    latency_error_before DOUBLE,
    throughput_error_before DOUBLE,
    memory_error_before DOUBLE,
    latency_error_after DOUBLE,
    throughput_error_after DOUBLE,
    memory_error_after DOUBLE,
    accepted BOOLEAN NOT NULL,
    record_count INTEGER NOT NULL,
    held_out_count INTEGER NOT NULL,
    predictor_version_before VARCHAR NOT NULL,
    predictor_version_after VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    after_validation_number BIGINT NOT NULL,
    content_sha256 VARCHAR NOT NULL
);
COMMENT ON TABLE model_refinements IS 'Attempts to refine the predictor';
COMMENT ON COLUMN model_refinements.platform IS 'Whose correction was refined; NULL: every platform''s';
COMMENT ON COLUMN model_refinements.after_validation_number IS 'The newest validation when it was recorded; later ones are of the refined predictor';
