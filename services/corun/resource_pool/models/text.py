"""Text to token ids and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from corun.errors import InvalidField
from corun.resource_pool.models.regular_files import read_regular
from corun.resource_pool.models.signature import TensorSpec

TOKENIZER_FILE = "tokenizer.json"
# The largest public vocabularies take about half of it.
_MAX_TOKENIZER_BYTES = 64_000_000

_Result = TypeVar("_Result")


class TextEncoder:
    """Encodes with the `tokenizer.json` of a model folder.

    Raises:
        ValueError: when made, where the file is not a tokenizer's or is too large.
        OSError: when made, where it cannot be read.
    """

    def __init__(self, path: Path, *, max_length: int) -> None:
        self._tokenizer = _read_tokenizer(path)
        self._tokenizer.enable_truncation(max_length)
        # Padding is done here, to the longest of the batch: files come with paddings of their own.
        self._tokenizer.no_padding()
        padding = next((each for each in ("[PAD]", "<pad>") if self._tokenizer.token_to_id(each) is not None), None)
        self._padding_id = self._tokenizer.token_to_id(padding) if padding else 0

    def encode(self, texts: Sequence[str], inputs: Sequence[TensorSpec]) -> dict[str, npt.NDArray[np.generic]]:
        """Tensors [batch, longest text] for the graph's inputs by their usual names.

        Raises:
            InvalidField: naming the text that has no tokens.
            ValueError: where the tokenizer cannot do it.
        """
        encodings = _attempt(
            lambda: self._tokenizer.encode_batch(list(texts)), f"{TOKENIZER_FILE} does not encode this"
        )
        for index, encoding in enumerate(encodings):
            if not encoding.ids:
                raise InvalidField(f"items[{index}].text", "the text has no tokens")
        shape = (len(encodings), max(len(each.ids) for each in encodings))
        padded = {
            "input_ids": np.full(shape, self._padding_id, dtype=np.int64),
            "attention_mask": np.zeros(shape, dtype=np.int64),
            "token_type_ids": np.zeros(shape, dtype=np.int64),
            "position_ids": np.broadcast_to(np.arange(shape[1], dtype=np.int64), shape).copy(),
        }
        for row, encoding in enumerate(encodings):
            length = len(encoding.ids)
            padded["input_ids"][row, :length] = encoding.ids
            padded["attention_mask"][row, :length] = 1
            padded["token_type_ids"][row, :length] = encoding.type_ids
        return {spec.name: padded[spec.name].astype(spec.dtype) for spec in inputs}

    @staticmethod
    def fits(inputs: Sequence[TensorSpec]) -> bool:
        """True where text alone gives all of these inputs."""
        names = {spec.name for spec in inputs}
        return "input_ids" in names and names <= {"input_ids", "attention_mask", "token_type_ids", "position_ids"}


class TextDecoder:
    """Decodes with the `tokenizer.json` of a model folder.

    Raises:
        ValueError: when made, where the file is not a tokenizer's or is too large.
        OSError: when made, where it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._tokenizer = _read_tokenizer(path)

    def decode(self, tokens: npt.NDArray[np.generic], *, end: int) -> list[str]:
        """The text of each row of `tokens` [batch, longest] up to `end`, without special tokens and outer spaces.

        Raises:
            ValueError: where the tokenizer cannot do it.
        """
        rows: list[list[int]] = tokens.tolist()
        ended = [row[: row.index(end)] if end in row else row for row in rows]
        texts = _attempt(lambda: self._tokenizer.decode_batch(ended), f"{TOKENIZER_FILE} does not decode this")
        return [text.strip() for text in texts]


def _read_tokenizer(path: Path) -> Tokenizer:
    content = read_regular(path, max_bytes=_MAX_TOKENIZER_BYTES)
    return _attempt(lambda: Tokenizer.from_buffer(content), f"{path.name} is not a tokenizer")


def _attempt(call: Callable[[], _Result], problem: str) -> _Result:
    """The library raises nothing narrower than Exception, and its panics are no Exceptions at all."""
    try:
        return call()
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise ValueError(f"{problem}: {error}") from error
        raise
