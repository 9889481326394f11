"""Forgets executions that ended long ago."""

from __future__ import annotations

import asyncio

import structlog

from corun.errors import StoreFailed
from corun.orchestrator.config import Settings
from corun.orchestrator.store.executions import ExecutionLog

_log = structlog.get_logger(__name__)

_INTERVAL_SECONDS = 300.0


async def prune_now_and_then(log: ExecutionLog, settings: Settings) -> None:
    """At once, and every five minutes until it is cancelled."""
    while True:
        try:
            await log.prune(
                max_age_seconds=settings.log_max_age_days * 86_400, max_bytes=int(settings.log_max_mb * 1e6)
            )
        except StoreFailed as error:
            _log.error("executions that ended long ago could not be forgotten", cause=error.message)
        await asyncio.sleep(_INTERVAL_SECONDS)
