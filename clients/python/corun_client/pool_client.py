"""The blocking client's calls of the resource pool."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

from corun_client import pool_calls
from corun_client.calling import Caller
from corun_client.conversion.inference import Inference
from corun_client.conversion.pool import CapabilityReport, LoadReport, ModelReport
from corun_client.conversion.sharing import ReleaseReport, SharedTensors, ShareReport
from corun_client.conversion.status import PoolChange, PoolReport


class PoolClient(Caller):
    """Calls of the resource pool.

    `platform` is webgpu, webnn or wasm (cpu is another name of wasm). `engine` is the browser to prefer: chromium,
    chromium-shell, firefox, chrome, msedge or edge; where it cannot serve another does, and the report names both.
    """

    def list_models(self, names: Sequence[str] = (), *, timeout_seconds: float | None = None) -> list[ModelReport]:
        """All models as they are; or those named, which are fetched or made if need be."""
        return self.answer(pool_calls.list_models(names, timeout_seconds))

    def capabilities(
        self,
        *,
        refresh: bool = False,
        platform: str | None = None,
        engine: str | None = None,
        timeout_seconds: float | None = None,
    ) -> CapabilityReport:
        """Which engines and platforms were found to work. The first call may start every browser once.

        Args:
            refresh: Try every engine again, also those that were found good.
            platform: Try engines only until one has this platform; only those that were tried are reported.
            engine: With a platform: try this one first, then those that stand in for it.
            timeout_seconds: Deadline; five minutes by default.
        """
        call = pool_calls.capabilities(
            refresh=refresh, platform=platform, engine=engine, timeout_seconds=timeout_seconds
        )
        return self.answer(call)

    def infer(
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
        """Runs one model on texts, image files, WAV files or numpy arrays by input name; one kind of them.

        Args:
            model_name: As listed.
            platform: Where.
            texts: A batch of texts.
            images: A batch of image files, each as bytes.
            audio: A batch of WAV files, each as bytes.
            tensors: Inputs of the graph; beside shared inputs those that are not shared.
            shared: Names of shared tensors, by input of the graph.
            keep: Names to share outputs under, by output of the graph; these stay in the lane and do not come back.
            owner: Who owns what is kept, for `release_tensor`.
            engine: Browser to prefer.
            timeout_seconds: Deadline; 15 minutes by default.
        """
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
        return self.answer(call)

    def load(
        self, model_name: str, *, platform: str, engine: str | None = None, timeout_seconds: float | None = None
    ) -> LoadReport:
        """Loads a model so that later runs are warm."""
        call = pool_calls.load(model_name, platform=platform, engine=engine, timeout_seconds=timeout_seconds)
        return self.answer(call)

    def unload(self, model_name: str, *, platform: str | None = None, timeout_seconds: float | None = None) -> int:
        """Unloads a model from every lane, or on one platform only; gives the number of sessions released."""
        return self.answer(pool_calls.unload(model_name, platform=platform, timeout_seconds=timeout_seconds))

    def share_tensor(
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
        """Makes a numpy array readable by models under a name.

        Args:
            name: Unique in the pool until it is released.
            array: Of float32, float16, int64, int32, uint8 or bool; nothing is cast.
            producer_model: Model in whose lane it is to lie.
            consumer_models: Models that will read it; they are loaded into the same lane.
            storage_type: webgpu, webnn or cpu; it decides the platform of the lane (cpu: wasm).
            owner: For `release_tensor`.
            engine: Browser to prefer.
            timeout_seconds: Deadline; 15 minutes by default.
        """
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
        return self.answer(call)

    def release_tensor(
        self, name: str | None = None, *, owner: str | None = None, timeout_seconds: float | None = None
    ) -> ReleaseReport:
        """Frees the shared tensor of this name, or all of an owner."""
        return self.answer(pool_calls.release_tensor(name, owner=owner, timeout_seconds=timeout_seconds))

    def list_tensors(self, *, timeout_seconds: float | None = None) -> SharedTensors:
        """The shared tensors that are alive, by name, and how many bytes all may take."""
        return self.answer(pool_calls.list_tensors(timeout_seconds))

    def pool_status(self, *, timeout_seconds: float | None = None) -> PoolReport:
        """Which browsers, lanes, sessions, leases and shared tensors are alive."""
        return self.answer(pool_calls.pool_status(timeout_seconds))

    def watch_pool(self, *, timeout_seconds: float | None = None) -> Generator[PoolChange, None, None]:
        """The pool's state at once, then after every change, until the caller stops iterating.

        Args:
            timeout_seconds: How long to watch; the iteration then ends. A week by default.
        """
        return self.watch(pool_calls.watch_pool(timeout_seconds))
