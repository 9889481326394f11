-- Which database this is, how often it was committed to, and what was ever found missing in it.

-- One row. The number is held against the high-water mark beside the file when a service starts.
CREATE TABLE storage_state (
    database_id VARCHAR NOT NULL,
    commit_number BIGINT NOT NULL
);
INSERT INTO storage_state VALUES (uuid()::VARCHAR, 0);

CREATE TABLE storage_incidents (
    detected_time TIMESTAMP NOT NULL,
    description VARCHAR NOT NULL,
    missing_rows JSON NOT NULL,
    kept_file VARCHAR NOT NULL
);
COMMENT ON TABLE storage_incidents IS 'Acknowledged rows that were found missing when a service started';
COMMENT ON COLUMN storage_incidents.missing_rows IS 'By table; a table that misses none is left out';
COMMENT ON COLUMN storage_incidents.kept_file IS 'Damaged file that was kept, or empty';
