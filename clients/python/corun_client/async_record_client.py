"""The asyncio client's calls that read the validator's record."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Any

from corun_client import record_calls
from corun_client.async_calling import AsyncCaller
from corun_client.failures import unfinished
from corun_client.whole_file import whole_file


class AsyncRecordClient(AsyncCaller):
    """Calls that read the validator's record. Arguments, reports and errors are those of `RecordClient`."""

    async def query(self, sql: str, *, max_rows: int | None = None, timeout_seconds: float | None = None) -> Any:
        """The answer to one SELECT over the record, a `pyarrow.Table`."""
        content, ended = bytearray(), False
        async with aclosing(self.responses(record_calls.query(sql, max_rows, timeout_seconds))) as chunks:
            async for chunk in chunks:
                ended = chunk is None
                content += chunk or b""
        if not ended:
            raise unfinished(self.target)
        return record_calls.arrow_table(bytes(content))

    async def export(
        self,
        path: Path | str,
        *,
        table: str = "multi_model_validation_metrics",
        file_format: str = "parquet",
        timeout_seconds: float | None = None,
    ) -> int:
        """Writes one table to a Parquet or CSV file; gives its size in bytes."""
        call, size = record_calls.export(table, file_format, timeout_seconds), 0
        with whole_file(Path(path)) as file:
            async with aclosing(self.responses(call)) as chunks:
                async for chunk in chunks:
                    size += file.write(chunk)
        return size

    async def storage_status(self, *, timeout_seconds: float | None = None) -> record_calls.StorageReport:
        """Size of the record, rows by table, and what was ever found missing."""
        return await self.answer(record_calls.storage_status(timeout_seconds))
