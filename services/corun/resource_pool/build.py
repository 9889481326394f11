"""Puts the resource pool together and takes it apart in reverse."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from corun.plumbing.server import Service
from corun.resource_pool.browser.deny_proxy import DenyProxy
from corun.resource_pool.browser.driver import Driver
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.browser.reaper import reaper
from corun.resource_pool.browser.starter import Starter
from corun.resource_pool.capabilities import Capabilities, EngineCapability
from corun.resource_pool.change_feed import ChangeFeed
from corun.resource_pool.config import Settings
from corun.resource_pool.contract import BrowserStarter
from corun.resource_pool.core.platform_health import PlatformHealth
from corun.resource_pool.core.shared_tensors import SharedTensors
from corun.resource_pool.core.upkeep import RecyclingRule
from corun.resource_pool.fleet import Fleet
from corun.resource_pool.health import parts_of
from corun.resource_pool.inference import Inference
from corun.resource_pool.models import ModelCatalog
from corun.resource_pool.models.platform_files import PlatformFiles
from corun.resource_pool.pool import Pool, QueueLimits
from corun.resource_pool.preparation import Preparation, StepLimits
from corun.resource_pool.servicer import ResourcePoolServicer
from corun.resource_pool.sharing import Sharing
from corun.resource_pool.status import PoolStatus
from corun.v1 import resource_pool_service_pb2
from corun.v1.resource_pool_service_pb2_grpc import add_ResourcePoolServiceServicer_to_server


@asynccontextmanager
async def build(settings: Settings, *, make_starter: Callable[..., BrowserStarter] = Starter) -> AsyncIterator[Service]:
    """The pool as a service; leaving the context ends every browser.

    `make_starter` is called with what `Starter` is made of.
    """
    pool_id = secrets.token_hex(6)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(reaper(pool_id))
        driver = Driver()
        stack.push_async_callback(driver.close)
        pages, deny_proxy = PageServer(), DenyProxy()
        stack.push_async_callback(pages.close)
        await pages.start()
        stack.push_async_callback(deny_proxy.close)
        await deny_proxy.start()
        feed = ChangeFeed()
        fleet = Fleet(
            starter=make_starter(driver=driver, pages=pages, deny_proxy=deny_proxy, pool_id=pool_id),
            max_connections=settings.max_connections,
            memory_budget_mb=settings.memory_budget_mb,
            recycling=RecyclingRule(settings.recycle_after_runs, settings.recycle_above_mb),
            health=PlatformHealth(on_change=feed.note),
            tensors=SharedTensors(limit_bytes=int(settings.shared_tensor_limit_mb * 1e6)),
            feed=feed,
        )
        limits = QueueLimits(settings.queue_timeout_seconds, settings.max_queued_count, settings.lease_ttl_seconds)
        pool = Pool(fleet=fleet, limits=limits, feed=feed)
        stack.push_async_callback(pool.close)
        for engine in settings.prewarmed_engines:
            fleet.warm_up(engine)
        catalog = ModelCatalog(models_folder=settings.models_folder, cache_folder=settings.cache_folder)
        stack.callback(catalog.close)
        servicer = _servicer(settings, catalog, pool, pages, deny_proxy)
        if settings.probe_at_start:
            stack.push_async_callback(_ended, asyncio.create_task(servicer.capabilities.engines()))
        name = resource_pool_service_pb2.DESCRIPTOR.services_by_name["ResourcePoolService"].full_name
        yield Service(name, servicer, add_ResourcePoolServiceServicer_to_server, parts=parts_of(servicer.status))


async def _ended(task: asyncio.Task[list[EngineCapability]]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _servicer(
    settings: Settings, catalog: ModelCatalog, pool: Pool, pages: PageServer, deny_proxy: DenyProxy
) -> ResourcePoolServicer:
    limits = StepLimits(
        open_seconds=settings.open_timeout_seconds,
        load_seconds=settings.load_timeout_seconds,
        run_seconds=settings.run_timeout_seconds,
        transfer_seconds=settings.transfer_timeout_seconds,
    )
    preparation = Preparation(pages, PlatformFiles(settings.cache_folder / "platform_files"), pool.fleet.health, limits)
    capabilities = Capabilities(pool=pool, pages=pages, folder=settings.cache_folder)
    sharing = Sharing(
        pool=pool,
        preparation=preparation,
        capabilities=capabilities,
        tensors=pool.fleet.tensors,
        lane_width=settings.core_count,
        transfer_seconds=settings.transfer_timeout_seconds,
    )
    return ResourcePoolServicer(
        settings=settings,
        catalog=catalog,
        pool=pool,
        preparation=preparation,
        capabilities=capabilities,
        inference=Inference(pool, preparation, capabilities, sharing, settings.core_count),
        sharing=sharing,
        status=PoolStatus(pool, capabilities, pages, deny_proxy),
    )
