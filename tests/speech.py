"""What tests of speech recognisers compare with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from onnxruntime.capi.onnxruntime_inference_collection import InferenceSession

from corun.resource_pool.models import Model

Array = npt.NDArray[Any]


class NativeMoonshine:
    """Greedy decoding by onnxruntime on the CPU, one item at a time."""

    def __init__(self, model: Model) -> None:
        self._encoder = InferenceSession(model.files["encoder"].path, providers=["CPUExecutionProvider"])
        self._decoder = InferenceSession(model.files["decoder"].path, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._decoder.get_outputs()]

    def tokens(self, inputs: Mapping[str, Array]) -> list[list[int]]:
        """The tokens of each item of `inputs`, as `Model.encode` gives them."""
        rows = zip(*(inputs[name] for name in ("input_values", "attention_mask", "max_tokens")), strict=True)
        return [self._item(samples[mask == 1][None], int(most)) for samples, mask, most in rows]

    def _item(self, samples: Array, most: int) -> list[int]:
        mask = np.ones(samples.shape, np.int64)
        (states,) = self._encoder.run(None, {"input_values": samples, "attention_mask": mask})
        names = [each.name for each in self._decoder.get_inputs() if each.name.startswith("past_key_values")]
        past = {name: np.zeros((1, 8, 0, 36), np.float32) for name in names}
        tokens = [1]
        while len(tokens) <= most and tokens[-1] != 2:
            feeds = {
                "input_ids": np.array([tokens[-1:]], np.int64),
                "encoder_attention_mask": mask,
                "encoder_hidden_states": states,
                "use_cache_branch": np.array([len(tokens) > 1]),
            }
            found = dict(zip(self._outputs, self._decoder.run(self._outputs, {**feeds, **past}), strict=True))
            for name in names:
                if ".decoder." in name or len(tokens) == 1:
                    past[name] = found[name.replace("past_key_values", "present")]
            tokens.append(int(found["logits"][0, -1].argmax()))
        return tokens[1:]


def word_error_rate(said: str, expected: str) -> float:
    """Words to be put in, taken out or replaced, per word of `expected`; case and punctuation do not count."""
    words, wanted = (re.findall(r"[a-z']+", text.lower()) for text in (said, expected))
    distances = list(range(len(wanted) + 1))
    for row, word in enumerate(words, start=1):
        previous, distances[0] = distances[0], row
        for column, other in enumerate(wanted, start=1):
            replaced = previous + (word != other)
            previous = distances[column]
            distances[column] = min(replaced, distances[column] + 1, distances[column - 1] + 1)
    return distances[-1] / len(wanted)
