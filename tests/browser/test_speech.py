"""A speech recogniser in real browsers, against the same decoding by onnxruntime on the CPU."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest
import soundfile

from corun.plumbing.status import RemoteError
from corun.resource_pool.config import Settings
from corun.resource_pool.conversion import from_array, platform_value, to_arrays
from corun.resource_pool.models import Model
from corun.resource_pool.models.sources.moonshine import EXAMPLE_RECORDING, EXAMPLE_TRANSCRIPT
from corun.v1 import core_pb2
from corun.v1 import resource_pool_service_pb2 as messages
from tests.browser.running import serve_pool
from tests.browser.test_execution import carry_out, request, sequential
from tests.browser.test_inference import catalog
from tests.speech import NativeMoonshine, word_error_rate
from tests.unit.resource_pool.model_folders import COUNTING_RECIPE, counting_graphs, write_parts

if TYPE_CHECKING:
    from corun.v1.resource_pool_service_pb2_grpc import ResourcePoolServiceAsyncStub  # exists in the stubs only

SPEECH = "moonshine-tiny"


@pytest.fixture(scope="module")
def moonshine() -> Model:
    return catalog().resolve(SPEECH)


async def transcribe(
    pool: ResourcePoolServiceAsyncStub, *recordings: bytes, platform: str = "wasm"
) -> messages.InferResponse:
    items = [messages.InferItem(audio=recording) for recording in recordings]
    return await pool.Infer(messages.InferRequest(model_name=SPEECH, platform=platform_value(platform), items=items))


def tokens_of(response: messages.InferResponse) -> list[list[int]]:
    """Tokens of each item up to the end."""
    rows: list[list[int]] = to_arrays(list(response.outputs))["tokens"].tolist()
    return [row[: row.index(2) + 1] if 2 in row else row for row in rows]


def cut(recording: bytes, begin: float, end: float) -> bytes:
    samples, rate = soundfile.read(io.BytesIO(recording), dtype="int16")
    file = io.BytesIO()
    soundfile.write(file, samples[int(begin * rate) : int(end * rate)], rate, format="WAV")
    return file.getvalue()


async def test_the_example_is_transcribed_word_for_word(pool: ResourcePoolServiceAsyncStub, moonshine: Model) -> None:
    folder = moonshine.path.parent
    recording = (folder / EXAMPLE_RECORDING).read_bytes()
    response = await transcribe(pool, recording)
    assert word_error_rate(response.results[0].transcript, (folder / EXAMPLE_TRANSCRIPT).read_text()) == 0
    assert tokens_of(response) == NativeMoonshine(moonshine).tokens(moonshine.encode([recording]))
    assert response.weights_origin == core_pb2.WEIGHTS_ORIGIN_PRETRAINED


async def test_recordings_in_a_batch_are_transcribed_as_each_alone(
    pool: ResourcePoolServiceAsyncStub, speech_wav: bytes, long_speech_wav: bytes
) -> None:
    recordings = [cut(speech_wav, 0, 4), speech_wav, cut(long_speech_wav, 0, 12)]
    together = tokens_of(await transcribe(pool, *recordings))
    alone = [tokens_of(await transcribe(pool, recording))[0] for recording in recordings]
    assert together == alone
    assert len({len(tokens) for tokens in together}) == 3


async def test_webgpu_transcribes_what_the_cpu_does(
    pool: ResourcePoolServiceAsyncStub, moonshine: Model, speech_wav: bytes
) -> None:
    # Short, because on a software adapter a second of sound takes several.
    recording = cut(speech_wav, 0, 1.5)
    response = await transcribe(pool, recording, platform="webgpu")
    assert tokens_of(response) == NativeMoonshine(moonshine).tokens(moonshine.encode([recording]))
    assert response.results[0].transcript


async def test_a_recording_that_is_too_long_is_refused_by_item(
    pool: ResourcePoolServiceAsyncStub, speech_wav: bytes, long_speech_wav: bytes
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await transcribe(pool, speech_wav, long_speech_wav)
    error = RemoteError.from_rpc(caught.value)
    assert error.code == "INVALID_ARGUMENT"
    assert error.violations[0].field == "items[1].audio"


async def test_a_plan_measures_the_encoder_and_all_steps_of_the_decoder(pool: ResourcePoolServiceAsyncStub) -> None:
    async def fastest(batch_size: int) -> float:
        events = await carry_out(pool, request(sequential((SPEECH, batch_size)), iterations=8))
        return min(run.run_time_ms for run in events[-1].measured.runs)

    # Item after item, so about three times; the larger comes first, while the lane is not yet quite warm.
    triple, single = await fastest(3), await fastest(1)
    assert triple > 2 * single


@pytest.mark.parametrize("platform", ["wasm", "webgpu"])
async def test_a_users_own_encoder_and_decoder_run_as_their_recipe_says(tmp_path: Path, platform: str) -> None:
    write_parts(tmp_path / "counting", counting_graphs(), manifest=COUNTING_RECIPE)
    lengths = np.array([10, 20, 20, 20, 20])
    mask = np.arange(20) < lengths[:, None]
    # The first is loud behind its end only, the second all along.
    sound = np.where(mask, 0.0, 1.0) + np.array([[0.0], [1.0], [0.0], [0.0], [1.0]])
    inputs = {
        "sound": sound.astype(np.float32),
        "mask": mask.astype(np.int64),
        "min_tokens": np.array([0, 0, 0, 12, 3], np.int64),
        "max_tokens": np.array([12, 12, 4, 12, 12], np.int64),
    }
    async with serve_pool(Settings(max_connections=1, core_count=2, models_folder=tmp_path)) as pool:
        response = await pool.Infer(
            messages.InferRequest(
                model_name="counting",
                platform=platform_value(platform),
                tensors=[from_array(name, array) for name, array in inputs.items()],
            )
        )
    tokens = to_arrays(list(response.outputs))["tokens"]
    end = [9] * 12
    assert tokens.tolist() == [
        [*range(1, 10), 9, 9, 9],
        end,
        [1, 2, 3, 4, *end[4:]],
        # It may not end before the twelfth: after 8 the likeliest other token is the first of equals.
        [1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3],
        [1, 2, 3, 9, *end[4:]],
    ]
