"""The asyncio client's calls of the resource pool."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

from corun_client import pool_calls
from corun_client.async_calling import AsyncCaller
from corun_client.conversion.inference import Inference
from corun_client.conversion.pool import CapabilityReport, LoadReport, ModelReport
from corun_client.conversion.sharing import ReleaseReport, SharedTensors, ShareReport
from corun_client.conversion.status import PoolChange, PoolReport


class AsyncPoolClient(AsyncCaller):
    """Calls of the resource pool. Arguments, reports and errors are those of `PoolClient`."""

    async def list_models(
        self, names: Sequence[str] = (), *, timeout_seconds: float | None = None
    ) -> list[ModelReport]:
        """All models as they are; or those named, which are fetched or made if need be."""
        return await self.answer(pool_calls.list_models(names, timeout_seconds))

    async def capabilities(
        self,
        *,
        refresh: bool = False,
        platform: str | None = None,
        engine: str | None = None,
        timeout_seconds: float | None = None,
    ) -> CapabilityReport:
        """Which engines and platforms were found to work. The first call may start every browser once."""
        call = pool_calls.capabilities(
            refresh=refresh, platform=platform, engine=engine, timeout_seconds=timeout_seconds
        )
        return await self.answer(call)

    async def infer(
        self,
        model_name: str,
        *,
        platform: str,
        texts: Sequence[str] | None = None,
        images: Sequence[bytes] | None = None,
        audio: Sequence[bytes] | None = None,
        tensors: Mapping[str, object] | None = None,
        shared: Mapping[str, str] | None = None,
        keep: Mapping[str, str] | None = None,
        owner: str = "",
        engine: str | None = None,
        timeout_seconds: float | None = None,
    ) -> Inference:
        """Runs one model on texts, image files, WAV files or numpy arrays by input name; one kind of them."""
        call = pool_calls.infer(
            model_name,
            platform=platform,
            texts=texts,
            images=images,
            audio=audio,
            tensors=tensors,
            shared=shared,
            keep=keep,
            owner=owner,
            engine=engine,
            timeout_seconds=timeout_seconds,
        )
        return await self.answer(call)

    async def load(
        self, model_name: str, *, platform: str, engine: str | None = None, timeout_seconds: float | None = None
    ) -> LoadReport:
        """Loads a model so that later runs are warm."""
        call = pool_calls.load(model_name, platform=platform, engine=engine, timeout_seconds=timeout_seconds)
        return await self.answer(call)

    async def unload(
        self, model_name: str, *, platform: str | None = None, timeout_seconds: float | None = None
    ) -> int:
        """Unloads a model from every lane, or on one platform only; gives the number of sessions released."""
        return await self.answer(pool_calls.unload(model_name, platform=platform, timeout_seconds=timeout_seconds))

    async def share_tensor(
        self,
        name: str,
        array: object,
        *,
        producer_model: str,
        consumer_models: Sequence[str] = (),
        storage_type: str = "cpu",
        owner: str = "",
        engine: str | None = None,
        timeout_seconds: float | None = None,
    ) -> ShareReport:
        """Makes a numpy array readable by models under a name."""
        call = pool_calls.share_tensor(
            name,
            array,
            producer_model=producer_model,
            consumer_models=consumer_models,
            storage_type=storage_type,
            owner=owner,
            engine=engine,
            timeout_seconds=timeout_seconds,
        )
        return await self.answer(call)

    async def release_tensor(
        self, name: str | None = None, *, owner: str | None = None, timeout_seconds: float | None = None
    ) -> ReleaseReport:
        """Frees the shared tensor of this name, or all of an owner."""
        return await self.answer(pool_calls.release_tensor(name, owner=owner, timeout_seconds=timeout_seconds))

    async def list_tensors(self, *, timeout_seconds: float | None = None) -> SharedTensors:
        """The shared tensors that are alive, by name, and how many bytes all may take."""
        return await self.answer(pool_calls.list_tensors(timeout_seconds))

    async def pool_status(self, *, timeout_seconds: float | None = None) -> PoolReport:
        """Which browsers, lanes, sessions, leases and shared tensors are alive."""
        return await self.answer(pool_calls.pool_status(timeout_seconds))

    def watch_pool(self, *, timeout_seconds: float | None = None) -> AsyncGenerator[PoolChange, None]:
        """The pool's state at once, then after every change, until the caller stops iterating."""
        return self.watch(pool_calls.watch_pool(timeout_seconds))
