"""Moonshine, a small speech recogniser (Jeffries et al. 2024), as its package brings it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from corun.resource_pool.models.files import DECODER_FILE, ENCODER_FILE
from corun.resource_pool.models.manifest import Manifest, TranscriptOutput, WaveformInput
from corun.resource_pool.models.recipe import Seq2Seq
from corun.resource_pool.models.sources.ort_format import convert_ort_file
from corun.resource_pool.models.sources.wheels import Member, Wheel
from corun.resource_pool.models.text import TOKENIZER_FILE

EXAMPLE_RECORDING, EXAMPLE_TRANSCRIPT = "example.wav", "example.txt"

MOONSHINE_WHEEL = Wheel(
    "moonshine-voice",
    "0.0.49",
    (
        Member(
            "moonshine_voice/assets/tiny-en/encoder_model.ort",
            "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
        ),
        Member(
            "moonshine_voice/assets/tiny-en/decoder_model_merged.ort",
            "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
        ),
        Member(
            "moonshine_voice/assets/tiny-en/tokenizer.bin",
            "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
        ),
        Member(
            "moonshine_voice/assets/beckett.wav",
            "e5a26b3d29e5b0bc8dbd72c11d16a3808a4ec0ac45b21f12a27d2a2fe5c5ae61",
        ),
        Member(
            "moonshine_voice/assets/two_cities.wav",
            "f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e",
        ),
    ),
)
# What is read in the first recording: Samuel Beckett, Worstward Ho.
_SPOKEN = "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better."

MOONSHINE_TINY = Manifest(
    type="audio",
    source="package moonshine-voice 0.0.49 (tiny, English, 8-bit weights; converted from .ort)",
    license="MIT",
    preprocessing=WaveformInput(max_seconds=30.0),
    postprocessing=TranscriptOutput(),
    seq2seq=Seq2Seq(
        start=(1,),
        end=2,
        # The decoder was trained on up to 194 tokens, of recordings of up to 30 s; its authors allow 6.5 a second.
        max_tokens=194,
        tokens_per_second=6.5,
        encoder_mask="attention_mask",
        decoder_mask="encoder_attention_mask",
        past="past_key_values.",
        kept=".encoder.",
        switch="use_cache_branch",
    ),
)

_UNKNOWN, _LONGEST_TOKEN = 0, 127
_FIRST_BYTE, _BYTE_COUNT = 3, 256


def arrange_moonshine(folder: Path, files: Sequence[Path]) -> None:
    """Writes the model folder from the members of the wheel, with the first recording as an example.

    Raises:
        ValueError: for a graph or a vocabulary that cannot be read.
    """
    encoder, decoder, vocabulary, recording = files[:4]
    convert_ort_file(encoder, folder / ENCODER_FILE)
    convert_ort_file(decoder, folder / DECODER_FILE)
    tokenizer = tokenizer_of(list(read_vocabulary(vocabulary.read_bytes())))
    (folder / TOKENIZER_FILE).write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    (folder / EXAMPLE_RECORDING).write_bytes(recording.read_bytes())
    (folder / EXAMPLE_TRANSCRIPT).write_text(_SPOKEN + "\n", encoding="utf-8")


def read_vocabulary(content: bytes) -> Iterator[bytes]:
    """Tokens in the order of their ids: each is its length in one byte, up to 127, and its bytes.

    Raises:
        ValueError: where the content is something else or cut short.
    """
    place = 0
    while place < len(content):
        begin, end = place + 1, place + 1 + content[place]
        if content[place] > _LONGEST_TOKEN or end > len(content):
            raise ValueError(f"the vocabulary cannot be read: no token of {content[place]} bytes at {place}")
        yield content[begin:end]
        place = end


def tokenizer_of(tokens: Sequence[bytes]) -> dict[str, object]:
    """A `tokenizer.json` that decodes: a vocabulary in SentencePiece's manner, whose ids 3 to 258 are single bytes
    and whose words begin with "▁". It cannot encode, for which the package has no merges.

    Raises:
        ValueError: for a token that is no text.
    """
    names = [
        f"<0x{index - _FIRST_BYTE:02X}>" if _FIRST_BYTE <= index < _FIRST_BYTE + _BYTE_COUNT else token.decode("utf-8")
        for index, token in enumerate(tokens)
    ]
    special = [
        {
            "id": index,
            "content": name,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for index, name in enumerate(names)
        if index < _FIRST_BYTE or name.startswith("<<ST_")
    ]
    decoders = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    vocabulary = {name: index for index, name in enumerate(names)}
    return {
        "version": "1.0",
        "added_tokens": special,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": names[_UNKNOWN]},
    }
