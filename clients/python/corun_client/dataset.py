"""The validation dataset: records of executions, as dicts, as an Arrow table or as a pandas frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, overload

from corun_client.conversion.dataset_records import DatasetRecord

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class ValidationDataset(Sequence[DatasetRecord]):
    """Records in the order they were recorded."""

    def __init__(self, records: Iterable[DatasetRecord]) -> None:
        self._records = tuple(records)

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> DatasetRecord: ...

    @overload
    def __getitem__(self, index: slice) -> ValidationDataset: ...

    def __getitem__(self, index: int | slice) -> DatasetRecord | ValidationDataset:
        return ValidationDataset(self._records[index]) if isinstance(index, slice) else self._records[index]

    def __iter__(self) -> Iterator[DatasetRecord]:
        return iter(self._records)

    def __repr__(self) -> str:
        return f"<ValidationDataset: {len(self)} records>"

    def to_arrow(self) -> pa.Table:
        """A row for each record; models, plan and runs are nested columns."""
        import pyarrow as pa  # noqa: PLC0415  # heavy, and many callers never need it

        return pa.Table.from_pylist(list(self._records), schema=_schema())

    def to_pandas(self) -> pd.DataFrame:
        """A row for each record; models, plan and runs are columns of lists and dicts."""
        return self.to_arrow().to_pandas()


def _schema() -> pa.Schema:
    import pyarrow as pa  # noqa: PLC0415  # see to_arrow

    text, count, figure, truth = pa.string(), pa.int64(), pa.float64(), pa.bool_()
    model = pa.struct([("model_name", text), ("model_type", text), ("batch_size", count)])
    planned = pa.struct([("model_name", text), ("batch_size", count), ("lane", count), ("members", pa.list_(count))])
    plan = pa.struct(
        [
            ("execution_strategy", text),
            ("lane_widths", pa.list_(count)),
            ("replicas", count),
            ("stages", pa.list_(pa.list_(planned))),
        ]
    )
    run = pa.struct(
        [
            ("model_name", text),
            *((name, count) for name in ("batch_size", "lane_width", "concurrency")),
            ("run_time_ms", figure),
            *((name, count) for name in ("stage", "run", "iteration", "replica")),
            ("engine", text),
        ]
    )
    columns: dict[str, pa.DataType] = dict.fromkeys(DatasetRecord.__annotations__, text)
    columns |= {name: figure for name in columns if name.endswith(("_latency", "_throughput", "_memory"))}
    columns |= {name: figure for name in columns if name.endswith(("_error", "_bias", "_time_ms"))}
    columns |= dict.fromkeys(("strategy_automatic", "strategy_explored", "validated"), truth)
    columns |= dict.fromkeys(("core_count", "model_count", "iterations"), count)
    columns |= {
        "end_time": pa.timestamp("us", tz="UTC"),
        "models": pa.list_(model),
        "plan": plan,
        "runs": pa.list_(run),
    }
    return pa.schema(list(columns.items()))
