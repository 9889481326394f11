"""The blocking client's calls that read the validator's record."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from corun_client import record_calls
from corun_client.calling import Caller
from corun_client.failures import unfinished
from corun_client.whole_file import whole_file


class RecordClient(Caller):
    """Calls that read the validator's record."""

    def query(self, sql: str, *, max_rows: int | None = None, timeout_seconds: float | None = None) -> Any:
        """The answer to one SELECT over the record, a `pyarrow.Table`.

        Args:
            sql: DuckDB's SQL; the tables are `multi_model_validation_metrics`, `multi_model_optimization_impact`,
                `executions` and `runs`.
            max_rows: More rows are refused; 100,000 by default, a million at most.
            timeout_seconds: Deadline; five minutes by default. The service ends a query much earlier.
        """
        content, ended = bytearray(), False
        with closing(self.responses(record_calls.query(sql, max_rows, timeout_seconds))) as chunks:
            for chunk in chunks:
                ended = chunk is None
                content += chunk or b""
        if not ended:
            raise unfinished(self.target)
        return record_calls.arrow_table(bytes(content))

    def export(
        self,
        path: Path | str,
        *,
        table: str = "multi_model_validation_metrics",
        file_format: str = "parquet",
        timeout_seconds: float | None = None,
    ) -> int:
        """Writes one table to a Parquet or CSV file; gives its size in bytes.

        Args:
            path: File to write; what is there is replaced when the new one is whole.
            table: Name of the table.
            file_format: "parquet" or "csv".
            timeout_seconds: Deadline; an hour by default.

        Raises:
            OSError: when the file cannot be written.
        """
        call, size = record_calls.export(table, file_format, timeout_seconds), 0
        with whole_file(Path(path)) as file, closing(self.responses(call)) as chunks:
            for chunk in chunks:
                size += file.write(chunk)
        return size

    def storage_status(self, *, timeout_seconds: float | None = None) -> record_calls.StorageReport:
        """Size of the record, rows by table, and what was ever found missing."""
        return self.answer(record_calls.storage_status(timeout_seconds))
