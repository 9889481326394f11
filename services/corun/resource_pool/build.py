"""Puts the resource pool together and takes it apart in reverse."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from corun.plumbing.server import Service
from corun.resource_pool.browser.driver import Driver
from corun.resource_pool.browser.engines import CHROMIUM
from corun.resource_pool.browser.page_server import PageServer
from corun.resource_pool.browser.reaper import reaper
from corun.resource_pool.capabilities import Capabilities
from corun.resource_pool.config import Settings
from corun.resource_pool.inference import Inference
from corun.resource_pool.models import ModelCatalog
from corun.resource_pool.models.platform_files import PlatformFiles
from corun.resource_pool.pool import Pool
from corun.resource_pool.preparation import Preparation, StepLimits
from corun.resource_pool.servicer import ResourcePoolServicer
from corun.v1 import resource_pool_service_pb2
from corun.v1.resource_pool_service_pb2_grpc import add_ResourcePoolServiceServicer_to_server


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Service]:
    """The pool as a service; leaving the context ends every browser."""
    pool_id = uuid.uuid4().hex
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(reaper(pool_id))
        driver = Driver()
        stack.push_async_callback(driver.close)
        pages = PageServer()
        stack.push_async_callback(pages.close)
        await pages.start()
        pool = Pool(
            engine=CHROMIUM,
            driver=driver,
            pages=pages,
            pool_id=pool_id,
            max_connections=settings.max_connections,
            queue_timeout_seconds=settings.queue_timeout_seconds,
        )
        stack.push_async_callback(pool.close)
        limits = StepLimits(
            load_seconds=settings.load_timeout_seconds,
            run_seconds=settings.run_timeout_seconds,
            transfer_seconds=settings.transfer_timeout_seconds,
        )
        preparation = Preparation(pages, PlatformFiles(settings.cache_folder / "webgpu"), limits)
        catalog = ModelCatalog(models_folder=settings.models_folder, cache_folder=settings.cache_folder)
        stack.callback(catalog.close)
        servicer = ResourcePoolServicer(
            settings=settings,
            catalog=catalog,
            pool=pool,
            preparation=preparation,
            capabilities=Capabilities(pool=pool, preparation=preparation, folder=settings.cache_folder),
            inference=Inference(pool, preparation, settings.core_count),
        )
        name = resource_pool_service_pb2.DESCRIPTOR.services_by_name["ResourcePoolService"].full_name
        yield Service(name, servicer, add_ResourcePoolServiceServicer_to_server)
