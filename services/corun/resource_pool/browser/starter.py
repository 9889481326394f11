"""Makes connections: one numbered object each, and a running browser behind it."""

from __future__ import annotations

import itertools

from corun.errors import PlatformUnavailable
from corun.resource_pool.browser.connection import Connection
from corun.resource_pool.browser.deny_proxy import DenyProxy
from corun.resource_pool.browser.driver import Driver
from corun.resource_pool.browser.engines import Engine
from corun.resource_pool.browser.page_server import PageServer


class Starter:
    """Knows everything that a new browser needs.

    Args:
        driver: Starts browsers.
        pages: Serves the page to them.
        deny_proxy: Refuses whatever they ask of others.
        pool_id: Marks their processes as this pool's.
    """

    def __init__(self, *, driver: Driver, pages: PageServer, deny_proxy: DenyProxy, pool_id: str) -> None:
        self._driver = driver
        self._pages = pages
        self._deny_proxy = deny_proxy
        self._pool_id = pool_id
        self._numbers = itertools.count(1)

    def connection(self, engine: Engine) -> Connection:
        """A connection that is yet to be opened."""
        return Connection(
            connection_id=f"c{next(self._numbers)}", engine=engine, pool_id=self._pool_id, pages=self._pages
        )

    async def open(self, connection: Connection) -> None:
        """Starts its browser.

        Raises:
            PlatformUnavailable: the engine is not installed.
            BrowserLost, StepTimedOut: it did not start.
        """
        engine = connection.engine
        executable = engine.find()
        if executable is None:
            raise PlatformUnavailable("", [], f"the engine {engine.name} is not installed: {engine.how_to_get}")
        await connection.open(await self._driver.playwright(), executable, deny_port=self._deny_proxy.port)
