"""Tables of the orchestrator's file."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE IF NOT EXISTS executions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    execution_id TEXT NOT NULL UNIQUE,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    client_id TEXT NOT NULL,
    workload BLOB NOT NULL,
    platform INTEGER NOT NULL,
    create_time REAL NOT NULL,
    end_time REAL,
    last_sequence INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL DEFAULT 0,
    outcome BLOB
);
CREATE UNIQUE INDEX IF NOT EXISTS executions_by_request ON executions (request_id) WHERE request_id <> '';
CREATE INDEX IF NOT EXISTS executions_by_state ON executions (state, number);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER NOT NULL REFERENCES executions (number) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (number, sequence)
);
CREATE TABLE IF NOT EXISTS outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    payload BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS configuration_changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    platform INTEGER NOT NULL,
    payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS changes_by_platform ON configuration_changes (platform, number);
CREATE TABLE IF NOT EXISTS counters (
    platform TEXT PRIMARY KEY,
    execution_count INTEGER NOT NULL
);
"""
