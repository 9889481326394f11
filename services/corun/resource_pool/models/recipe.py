"""How an encoder and a decoder make a sequence of tokens: what a model folder says, and what a lane is told."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from corun.resource_pool.models.signature import TensorSpec

Array = npt.NDArray[np.generic]
Specs = Sequence[TensorSpec]

MIN_TOKENS, MAX_TOKENS = "min_tokens", "max_tokens"
TOKENS_OUTPUT = "tokens"

_OPTIONAL = frozenset(("encoder_mask", "decoder_mask", "switch"))
_Token = Annotated[int, Field(ge=0, lt=2**31)]
_Count = Annotated[int, Field(ge=1, le=65536)]


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Seq2Seq:
    """The table `[seq2seq]` of `model.toml`: the encoder runs once an item, then the decoder once a token, each time
    taking the likeliest, until `end` or as many as there may be.

    Names are those of tensors in the two graphs; the defaults are what Hugging Face's exporters write, and "" is
    none. Without `past` the decoder is fed the whole sequence at each step.

    Attributes:
        start: Ids that every sequence begins with; they are not part of the result.
        end: Id that ends one.
        max_tokens: Most tokens of a sequence.
        tokens_per_second: Most tokens of a second of sound; 0: `max_tokens` however short the recording is.
        sample_tokens: Tokens of each item of a sample run, whatever the decoder says.
        encoder_mask: Input of the encoder that is one where an item has content and zero behind it.
        encoder_output: What the decoder is fed of the encoder.
        decoder_tokens: Input of the decoder for ids.
        decoder_states: Input of the decoder for the encoder's output.
        decoder_mask: Input of the decoder for the encoder's mask.
        logits: Output of the decoder [batch, tokens, vocabulary].
        past: Beginning of the names of the decoder's inputs that are its cache.
        present: What stands for `past` in the names of the outputs that renew the cache.
        kept: Part of the names of cache tensors that the first step makes and no later step renews.
        switch: Input of the decoder that is false in the first step and true in the others.
    """

    start: Annotated[tuple[_Token, ...], Field(min_length=1, max_length=64)]
    end: _Token
    max_tokens: _Count
    tokens_per_second: Annotated[float, Field(ge=0, le=1000)] = 0.0
    sample_tokens: _Count = 20
    encoder_mask: str = ""
    encoder_output: str = "last_hidden_state"
    decoder_tokens: str = "input_ids"
    decoder_states: str = "encoder_hidden_states"
    decoder_mask: str = ""
    logits: str = "logits"
    past: str = ""
    present: str = "present."
    kept: str = ""
    switch: str = ""

    def most_tokens(self, seconds: float) -> int:
        """Most tokens for a recording of this length; of what has no length, give infinity."""
        if not self.tokens_per_second:
            return self.max_tokens
        return max(1, math.ceil(min(self.max_tokens, seconds * self.tokens_per_second)))


@dataclass(frozen=True, slots=True)
class CacheTensor:
    """An input of the decoder, the output that renews it, and its shape while it is empty.

    `kept` is true where the first step makes it and no later step renews it.
    """

    past: str
    present: str
    shape: tuple[int, ...]
    kept: bool


def lane_recipe(recipe: Seq2Seq, cache: Sequence[CacheTensor]) -> dict[str, Any]:
    """What a lane is told of a model in parts, as JSON; `seq2seq.ts` says which of it is needed there."""
    return dataclasses.asdict(recipe) | {"cache": [dataclasses.asdict(each) for each in cache]}


def token_limits(most: Sequence[int], *, least: Sequence[int] | None = None) -> dict[str, Array]:
    """The inputs that a model in parts has beside its encoder's: fewest and most tokens of each item, int64 [batch].

    `least` is 0 unless given. A sequence that reaches its most is cut there; one that would end before its
    least goes on with the likeliest other token.
    """
    return {
        MIN_TOKENS: np.array(least or [0] * len(most), np.int64),
        MAX_TOKENS: np.array(most, np.int64),
    }


def limit_specs(batch: int | str) -> tuple[TensorSpec, ...]:
    """Of those inputs."""
    return tuple(TensorSpec(name, "int64", (batch,)) for name in (MIN_TOKENS, MAX_TOKENS))


def find_cache(recipe: Seq2Seq, encoder: tuple[Specs, Specs], decoder: tuple[Specs, Specs]) -> tuple[CacheTensor, ...]:
    """The decoder's cache, for graphs (inputs, outputs) that the recipe describes whole.

    Raises:
        ValueError: for a name that a graph does not have, an input that nothing would feed, or a type that lanes
            do not handle.
    """
    inputs = ("decoder input", decoder[0])
    outputs = ("decoder output", decoder[1])
    cache = tuple(_cache(recipe, decoder[0]))
    if recipe.past and not cache:
        raise ValueError(f"past = {recipe.past!r} begins no decoder input; there are {_names(decoder[0])}")
    _require("encoder_mask", recipe.encoder_mask, "int64", "encoder input", encoder[0])
    _require("encoder_output", recipe.encoder_output, "float32", "encoder output", encoder[1])
    _require("decoder_tokens", recipe.decoder_tokens, "int64", *inputs)
    _require("decoder_states", recipe.decoder_states, "float32", *inputs)
    _require("decoder_mask", recipe.decoder_mask, "int64", *inputs)
    _require("switch", recipe.switch, "bool", *inputs)
    _require("logits", recipe.logits, "float32", *outputs)
    for each in cache:
        _require("past", each.past, "float32", *inputs)
        _require("present", each.present, "float32", *outputs)
    if recipe.decoder_mask and not recipe.encoder_mask:
        raise ValueError("decoder_mask is fed the encoder's mask: name encoder_mask as well")
    described = {recipe.decoder_tokens, recipe.decoder_states, recipe.decoder_mask, recipe.switch}
    unknown = {spec.name for spec in decoder[0]} - described - {each.past for each in cache}
    if unknown:
        raise ValueError(f"nothing says what the decoder's inputs are fed: {', '.join(sorted(unknown))}")
    return cache


def _require(setting: str, name: str, data_type: str, kind: str, specs: Specs) -> None:
    if not name and setting in _OPTIONAL:
        return
    found = {spec.name: spec.data_type for spec in specs}
    if name not in found:
        raise ValueError(f"{setting} = {name!r} is no {kind}; there are {_names(specs)}")
    if found[name] != data_type:
        raise ValueError(f"{setting} = {name!r} is of {found[name]}; lanes take {data_type}")


def _names(specs: Specs) -> str:
    return ", ".join(spec.name for spec in specs)


def _cache(recipe: Seq2Seq, inputs: Specs) -> Iterator[CacheTensor]:
    for spec in inputs:
        if not recipe.past or not spec.name.startswith(recipe.past):
            continue
        # The first dimension is the batch, which is one item; what else is free is as long as the sequence: 0.
        shape = tuple(1 if axis == 0 else size if isinstance(size, int) else 0 for axis, size in enumerate(spec.shape))
        kept = bool(recipe.kept) and recipe.kept in spec.name
        yield CacheTensor(spec.name, recipe.present + spec.name.removeprefix(recipe.past), shape, kept)
