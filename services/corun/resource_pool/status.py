"""The pool as it is now, as a message: for those who ask and those who watch."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf import timestamp_pb2

from corun.resource_pool.browser.deny_proxy import DenyProxy
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.browser.sandbox import is_sandboxed
from corun.resource_pool.capabilities import Capabilities, EngineCapability, PlatformCapability
from corun.resource_pool.contract import BrowserConnection
from corun.resource_pool.conversion import platform_value
from corun.resource_pool.pool import Lease, Pool
from corun.v1 import resource_pool_service_pb2 as messages

_BLOCKED_TOLD = 20


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """Tells what there is."""

    pool: Pool
    capabilities: Capabilities
    pages: PageServer
    deny_proxy: DenyProxy

    async def weighed(self) -> messages.GetPoolStatusResponse:
        """The pool with the sizes of its browsers, which take the kernel a while to find out."""
        for connection in self.pool.fleet.connections:
            await connection.weigh()
        return self.now()

    def now(self) -> messages.GetPoolStatusResponse:
        """The pool, with sizes as they were last known."""
        blocked = [*self.pages.blocked, *self.deny_proxy.blocked][-_BLOCKED_TOLD:]
        return messages.GetPoolStatusResponse(
            connections=[_connection(each) for each in self.pool.fleet.connections],
            max_connections=self.pool.fleet.max_connections,
            queued_count=self.pool.queued_count,
            lost_count=self.pool.fleet.lost_count,
            leases=[_lease(each) for each in self.pool.leases],
            platforms=[
                self._platform(engine, platform) for engine in self.capabilities.probed for platform in engine.platforms
            ],
            blocked_count=self.pages.blocked_count + self.deny_proxy.blocked_count,
            blocked=blocked,
            late_result_count=self.pool.fleet.late_result_count,
            tensor_count=len(self.pool.fleet.tensors.all()),
            tensor_bytes=self.pool.fleet.tensors.total_bytes,
            warnings=self._warnings(),
            recycled_count=self.pool.fleet.recycled_count,
        )

    async def changes(self) -> AsyncGenerator[messages.WatchPoolResponse, None]:
        """The pool at once, then after every change."""
        async for change in self.pool.feed.watch():
            response = messages.WatchPoolResponse(sequence=change.sequence, status=self.now(), changes=change.words)
            response.event_time.GetCurrentTime()
            yield response

    def platform_state(self, engine: EngineCapability, platform: PlatformCapability) -> str:
        """ready, degraded or unavailable."""
        if not platform.supported:
            return "unavailable"
        return "degraded" if self.pool.fleet.health.worst(engine.engine, platform.platform) is not None else "ready"

    def _platform(self, engine: EngineCapability, platform: PlatformCapability) -> messages.PlatformHealth:
        health = messages.PlatformHealth(
            engine=engine.engine,
            platform=platform_value(platform.platform),
            state=self.platform_state(engine, platform),
            detail=platform.detail,
        )
        breaker = self.pool.fleet.health.worst(engine.engine, platform.platform)
        if breaker is not None:
            health.detail = breaker.cause
            health.retry_time.CopyFrom(_timestamp(breaker.retry_at))
        return health

    def _warnings(self) -> list[str]:
        running = {connection.engine.name: connection.engine for connection in self.pool.fleet.connections}
        return [
            f"the sandbox of {name} itself is off (it cannot run as root, or the system forbids user namespaces)"
            for name, engine in sorted(running.items())
            if not is_sandboxed(engine)
        ]


def _connection(connection: BrowserConnection) -> messages.ConnectionStatus:
    return messages.ConnectionStatus(
        connection_id=connection.connection_id,
        engine=connection.engine.name,
        state=connection.state,
        process_id=connection.process_id,
        memory_mb=connection.memory_mb,
        idle_memory_mb=connection.idle_memory_mb,
        lease_count=connection.lease_count,
        epoch=connection.epoch,
        run_count=connection.run_count,
        lanes=[
            messages.LaneStatus(
                lane_id=lane.lane_id,
                platform=platform_value(lane.platform),
                width=lane.width,
                model_names=sorted(lane.model_names),
                wasm_memory_mb=lane.wasm_bytes / 1e6,
                tensor_names=sorted(lane.tensor_names),
            )
            for lane in connection.lanes.values()
        ],
    )


def _lease(lease: Lease) -> messages.LeaseStatus:
    return messages.LeaseStatus(
        lease_id=lease.term.lease_id,
        purpose=lease.term.purpose,
        connection_ids=[connection.connection_id for connection in lease.connections],
        granted_time=_timestamp(lease.term.granted_at),
        expire_time=_timestamp(lease.term.expires_at),
    )


def _timestamp(monotonic: float) -> timestamp_pb2.Timestamp:
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(datetime.now(UTC) + timedelta(seconds=monotonic - time.monotonic()))
    return stamp
