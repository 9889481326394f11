"""The services at one address, for what no client has a method for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from corun.orchestrator.build import timeouts_of
from corun.orchestrator.config import Settings
from corun.orchestrator.peers import Link, Peers
from corun.plumbing.channel import open_channel
from corun.plumbing.status import RemoteError
from corun_client.errors import NotHosted


@asynccontextmanager
async def peers_at(target: str) -> AsyncIterator[Peers]:
    """Calls the predictor, the resource pool and the validator at one address; time limits as the orchestrator's.

    Raises:
        NotHosted: when the server does not host one of them.
    """
    channel = open_channel(target)
    try:
        yield Peers(
            predictor=Link("predictor", target, channel),
            pool=Link("resource pool", target, channel),
            validator=Link("validator", target, channel),
            timeouts=timeouts_of(Settings()),
        )
    except RemoteError as error:
        if error.code != "UNIMPLEMENTED":
            raise
        raise NotHosted(
            f"the server at {target} does not host all services: give the address of a `corun up`"
        ) from error
    finally:
        await channel.close()
