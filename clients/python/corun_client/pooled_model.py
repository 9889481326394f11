"""A model of the pool as something to call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from corun_client.conversion.model_inputs import model_inputs
from corun_client.conversion.model_results import ModelResult, model_result

if TYPE_CHECKING:
    from corun_client.conversion.pool import ModelReport
    from corun_client.resource_pool import ResourcePool


class PooledModel:
    """A model of a `ResourcePool`; calling it runs it. Made by `ResourcePool.get_model`.

    Attributes:
        model_name: As listed.
        model_type: text_embedding, text_generation, vision, audio or multimodal.
        engine: Browser to prefer, or "".
        accepts: What it takes besides arrays: text, image, audio or "".
        weights_origin: PRETRAINED or SEEDED (outputs are not meaningful).
    """

    def __init__(self, pool: ResourcePool, report: ModelReport, *, platform: str | None, engine: str) -> None:
        self.model_name = report["name"]
        self.model_type = report["model_type"]
        self.accepts = report["accepts"]
        self.weights_origin = report["weights_origin"]
        self.engine = engine
        self._pool = pool
        self._platform = platform

    @property
    def platform(self) -> str:
        """Where it runs: what was asked for, else webgpu where that is hardware, else wasm. Found out when needed."""
        if self._platform is None:
            self._platform = self._pool.default_platform(self.engine)
        return self._platform

    def __call__(
        self,
        inputs: object = None,
        *,
        shared: Mapping[str, str] | None = None,
        keep: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> ModelResult:
        """Runs the model.

        Args:
            inputs: By what the model takes: a str, image bytes, WAV bytes, a path, a PIL image, or a list of one of
                these; or a dict of numpy arrays by input name. None where every input is shared.
            shared: Names of shared tensors, by input of the graph. The model runs on the platform where they lie;
                the other inputs are then given as a dict of arrays.
            keep: Names to share outputs under, by output of the graph; these stay in the lane and do not come back.
            timeout_seconds: Deadline; 15 minutes by default.

        Raises:
            InvalidArgument: for what the model does not take.
            AlreadyExists: a name of `keep` is taken.
            NotFound: a shared tensor does not exist.
            CorunError: what else kept it from running.
        """
        given = model_inputs(inputs, accepts=self.accepts, model_name=self.model_name)
        platform = (self._pool.platform_of_shared(shared) if shared else None) or self.platform
        answer = self._pool.infer(
            self,
            given,
            platform=platform,
            shared=shared,
            keep=keep,
            timeout_seconds=timeout_seconds,
        )
        return model_result(
            answer,
            model_name=self.model_name,
            model_type=self.model_type,
            platform=platform,
            tensors=given.get("tensors"),
            shared=tuple(shared or ()),
        )

    def __repr__(self) -> str:
        where = self._platform or "its best platform"
        return f"<PooledModel {self.model_name} ({self.model_type}, {self.weights_origin}) on {where}>"
