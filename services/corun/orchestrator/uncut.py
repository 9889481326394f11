"""Work that a cancellation must not cut in two."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def uncut(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is carried out as a whole even where the caller is cancelled meanwhile; the
    cancellation comes when it is done."""
    task = asyncio.ensure_future(work)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None:
        await asyncio.gather(task, return_exceptions=True)  # nobody is left to hear of an error
        raise cancellation
    return task.result()
