"""Bounds of the choice as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from corun_client.conversion.configuration import (
    AdaptiveConfigurationReport,
    ConfigurationReport,
    ConfigurationValues,
    EvidenceReport,
    UpdateReport,
)

_MEANINGS = {
    "parallel_threshold": "most models in parallel",
    "sequential_threshold": "above so many models only sequential",
    "batching_size": "most models in a group when batched",
    "memory_threshold": "most MB that may be predicted",
}


def configuration_tables(report: ConfigurationReport) -> Iterator[RenderableType]:
    """The values in force, and the newest changes."""
    yield Text(f"bounds of the choice on {report['hardware_platform']}", style="bold")
    yield _values(report, report["origins"], report["defaults"])
    if report["changes"]:
        table = Table("when (UTC)", "by", "why", title="changes, the newest first", title_justify="left")
        for change in report["changes"]:
            table.add_row(f"{change['change_time']:%Y-%m-%d %H:%M:%S}", change["origin"], change["reason"])
        yield table


def update_tables(report: UpdateReport) -> Iterator[RenderableType]:
    """What an update changed, and the values in force."""
    changed = "changed" if report["updated"] else "unchanged"
    yield Text(f"{changed} on {report['hardware_platform']}: {report['reason']}", style="bold")
    yield _values(report, report["origins"])
    if report["evidence"] is not None:
        yield _evidence_words(report["evidence"])


def suggestion_tables(report: AdaptiveConfigurationReport) -> Iterator[RenderableType]:
    """What an adaptive update would set beside what is in force."""
    enough = "" if report["sufficient_data"] else "too little on record: "
    yield Text(f"{report['hardware_platform']}: {enough}{report['reason']}", style="bold")
    table = Table("value", "in force", "suggested", "setting")
    for name in _MEANINGS:
        table.add_row(name, _one(report["current"], name), _one(report, name), _one(report["defaults"], name))
    yield table
    yield _evidence_words(report["evidence"])


def _values(
    values: ConfigurationValues | ConfigurationReport | UpdateReport,
    origins: Mapping[str, str],
    defaults: ConfigurationValues | None = None,
) -> Table:
    table = Table("value", "in force", "from", *(["setting"] if defaults is not None else []), "what it bounds")
    for name, meaning in _MEANINGS.items():
        setting = [_one(defaults, name)] if defaults is not None else []
        table.add_row(name, _one(values, name), origins.get(name, ""), *setting, meaning)
    return table


def _one(values: Mapping[str, object], name: str) -> str:
    value = values[name]
    return "no bound" if value is None else f"{value:,g}" if isinstance(value, int | float) else str(value)


def _evidence_words(evidence: EvidenceReport) -> str:
    words = (
        f"{evidence['validation_count']} validations ({evidence['needed_validation_count']} needed), "
        f"{evidence['record_count']} executions looked at, {evidence['workload_count']} workloads under several "
        f"strategies ({evidence['needed_workload_count']} needed)"
    )
    regrets = {
        "settings": evidence["default_regret"],
        "in force before": evidence["current_regret"],
        "suggested": evidence["suggested_regret"],
    }
    known = ", ".join(f"{name} {regret:.1%}" for name, regret in regrets.items() if regret is not None)
    return f"{words}; mean regret: {known}" if known else words
