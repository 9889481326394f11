"""The guide's `integration.resource_pool`: models to call, and tensors that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from uuid import uuid4

from corun_client.client import Client
from corun_client.conversion.dtypes import converted
from corun_client.conversion.inference import Inference
from corun_client.conversion.model_inputs import ModelInputs
from corun_client.conversion.names import platform_name, platform_of
from corun_client.conversion.preferences import MODEL_TYPES, engine_of, means, preferred_engine
from corun_client.conversion.sharing import (
    PLATFORM_BY_STORAGE,
    ReleaseReport,
    SharedTensors,
    SharingResult,
    sharing_result,
    storage_type_of,
)
from corun_client.errors import AlreadyExists, CorunError, InvalidArgument
from corun_client.pooled_model import PooledModel

_CLOSE_SECONDS = 10.0


class ResourcePool:
    """Models of a running pool, and the tensors that they share.

    Args:
        client: Of the services; its owner closes it.
        browser_preferences: Browser by model type, for models that are got without an engine.
    """

    def __init__(self, client: Client, *, browser_preferences: Mapping[str, str]) -> None:
        self._client = client
        self._preferences = browser_preferences
        self._owner = f"python-{uuid4()}"
        self._has_shared = False
        self._platforms: dict[str, str] = {}

    def get_model(
        self,
        model_type: str | None = None,
        model_name: str | None = None,
        *,
        platform: str | None = None,
        hardware_platform: str | None = None,
        engine: str | None = None,
    ) -> PooledModel:
        """A model to call, fetched or made if need be. It is loaded when it is first run.

        Args:
            model_type: text, vision, audio, or a full name such as text_embedding; None takes the model's own.
            model_name: As listed.
            platform: webgpu, webnn or wasm (cpu is another name of wasm); None takes webgpu where that is
                hardware, else wasm.
            hardware_platform: Another name of `platform`.
            engine: Browser to prefer; None takes the preference for the model's type.

        Raises:
            InvalidArgument: for names that are not known, and a type that is not the model's.
            NotFound: there is no such model; the message lists what there is.
        """
        if not isinstance(model_name, str) or not model_name:
            raise InvalidArgument.of("model_name", f"expected the name of a model; received {model_name!r}")
        if model_type is not None and model_type not in MODEL_TYPES:
            raise InvalidArgument.of("model_type", f"{model_type!r} is not known; allowed: {', '.join(MODEL_TYPES)}")
        where = _given_platform(platform, hardware_platform)
        wanted = engine_of(engine)
        (report,) = self._client.list_models([model_name])
        if model_type is not None and not means(model_type, report["model_type"]):
            raise InvalidArgument.of(
                "model_type", f"{model_name!r} is of type {report['model_type']!r}; received {model_type!r}"
            )
        preferred = wanted or preferred_engine(report["model_type"], self._preferences)
        return PooledModel(self, report, platform=where, engine=preferred)

    def share_tensor_between_models(
        self,
        tensor_data: object,
        tensor_name: str,
        *,
        producer_model: PooledModel,
        consumer_models: Sequence[PooledModel] = (),
        storage_type: str = "cpu",
        dtype: str | None = None,
        timeout_seconds: float | None = None,
    ) -> SharingResult:
        """Makes a tensor readable by models under a name, in one lane that holds them all.

        Consumers read it with `consumer(inputs, shared={"input": tensor_name})`, wherever they ran before.

        Args:
            tensor_data: A numpy array, or nested lists of numbers.
            tensor_name: Unique until it is released.
            producer_model: Model in whose lane it is to lie.
            consumer_models: Models that will read it; they are loaded into the same lane.
            storage_type: webgpu (a GPU buffer), webnn (an MLTensor) or cpu (an array buffer).
            dtype: float32, float16, int64, int32, uint8 or bool; None keeps the array's own. What would overflow
                is refused.
            timeout_seconds: Deadline; 15 minutes by default.

        Raises:
            InvalidArgument: for a value that breaks its rule.
            AlreadyExists: the name is taken; the message says how to release it.
            CorunError: what else kept it from being shared.
        """
        producer = _model(producer_model, "producer_model")
        consumers = [_model(each, f"consumer_models[{index}]") for index, each in enumerate(_many(consumer_models))]
        if not isinstance(tensor_name, str) or not tensor_name:
            raise InvalidArgument.of("tensor_name", f"expected a name; received {tensor_name!r}")
        storage = storage_type_of(storage_type)
        array = converted(tensor_data, dtype)
        self._has_shared = True
        try:
            shared = self._client.share_tensor(
                tensor_name,
                array,
                producer_model=producer.model_name,
                consumer_models=[each.model_name for each in consumers],
                storage_type=storage,
                owner=self._owner,
                engine=producer.engine,
                timeout_seconds=timeout_seconds,
            )
        except AlreadyExists as error:
            raise _taken(error) from None
        return sharing_result(shared)

    def release_tensor(self, tensor_name: str) -> ReleaseReport:
        """Frees a shared tensor.

        Raises:
            NotFound: there is none of this name.
        """
        return self._client.release_tensor(tensor_name)

    def list_tensors(self) -> SharedTensors:
        """Every shared tensor of the pool, and the bytes that all may take together."""
        return self._client.list_tensors()

    def default_platform(self, engine: str) -> str:
        """webgpu where its adapter is hardware, else wasm. The first call may start browsers to find out."""
        if engine not in self._platforms:
            tried = self._client.capabilities(platform="webgpu", engine=engine)["engines"]
            found = [each for tried_engine in tried for each in tried_engine["platforms"]]
            hardware = any(
                each["platform"] == "webgpu" and each["supported"] and not each["software"] for each in found
            )
            self._platforms[engine] = "webgpu" if hardware else "wasm"
        return self._platforms[engine]

    def platform_of_shared(self, shared: Mapping[str, str]) -> str | None:
        """The platform where the largest of these tensors lies; None when none of them is there."""
        names = set(shared.values())
        alive = [each for each in self.list_tensors()["tensors"] if each["name"] in names]
        largest = max(alive, key=lambda each: each["size_bytes"], default=None)
        return None if largest is None else PLATFORM_BY_STORAGE[largest["storage_type"]]

    def infer(
        self,
        model: PooledModel,
        inputs: ModelInputs,
        *,
        platform: str,
        shared: Mapping[str, str] | None,
        keep: Mapping[str, str] | None,
        timeout_seconds: float | None,
    ) -> Inference:
        """Runs a model; what it keeps belongs to this pool object."""
        self._has_shared = self._has_shared or bool(keep)
        try:
            return self._client.infer(
                model.model_name,
                platform=platform,
                **inputs,
                shared=shared,
                keep=keep,
                owner=self._owner if keep else "",
                engine=model.engine,
                timeout_seconds=timeout_seconds,
            )
        except AlreadyExists as error:
            raise _taken(error) from None

    def close(self) -> None:
        """Frees everything that was shared through this object; a pool that is gone has freed it already."""
        if self._has_shared:
            self._has_shared = False
            with suppress(CorunError):
                self._client.release_tensor(owner=self._owner, timeout_seconds=_CLOSE_SECONDS)


def _given_platform(platform: str | None, hardware_platform: str | None) -> str | None:
    if platform is not None and hardware_platform is not None and platform != hardware_platform:
        raise InvalidArgument.of("platform", f"{platform!r} contradicts hardware_platform={hardware_platform!r}")
    if platform is not None:
        return platform_name(platform_of(platform))
    if hardware_platform is not None:
        return platform_name(platform_of(hardware_platform, parameter="hardware_platform"))
    return None


def _model(value: object, parameter: str) -> PooledModel:
    if isinstance(value, PooledModel):
        return value
    raise InvalidArgument.of(parameter, f"expected a model of get_model(); received {value!r}")


def _many(models: object) -> Sequence[object]:
    if isinstance(models, Sequence) and not isinstance(models, str | bytes):
        return models
    raise InvalidArgument.of("consumer_models", f"expected a list of models; received {models!r}")


def _taken(error: AlreadyExists) -> AlreadyExists:
    name = error.metadata.get("tensor_name", "")
    return AlreadyExists(
        f"tensor_name: a tensor is already shared as {name!r}; release it with "
        f"resource_pool.release_tensor({name!r}), or choose another name",
        reason=error.reason,
        metadata=error.metadata,
    )
