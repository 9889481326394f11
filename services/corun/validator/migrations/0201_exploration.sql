-- Executions of an alternative to the recommended strategy, tried to learn of it.

ALTER TABLE executions ADD COLUMN explored BOOLEAN DEFAULT false;

ALTER TABLE multi_model_validation_metrics ADD COLUMN explored BOOLEAN DEFAULT false;
COMMENT ON COLUMN multi_model_validation_metrics.explored IS 'Whether an alternative to the recommended strategy was tried';
