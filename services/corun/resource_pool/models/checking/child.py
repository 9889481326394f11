"""`python -m corun.resource_pool.models.checking.child GRAPH...`: the check of one model, in a process of its own.

The request comes on standard input, the answer goes to standard output. Whatever else happens (a crash, a signal,
a limit) says something about the model as well: the parent makes a refusal of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from corun.errors import InvalidField
from corun.resource_pool.models.checking.contents import Unfit
from corun.resource_pool.models.checking.inspection import inspect_model
from corun.resource_pool.models.checking.limits import confine, end_with
from corun.resource_pool.models.checking.messages import Answer, Request, answer_adapter, request_adapter
from corun.resource_pool.models.facts import Facts
from corun.resource_pool.models.manifest import Manifest, TextInput
from corun.resource_pool.models.text import TOKENIZER_FILE, TextDecoder, TextEncoder

# Of several scripts, with what normalisers like to replace.
_SAMPLE_TEXT = "The quick brown fox, 42 times: naïve café — Straße, Ελλάδα, 東京 🦊 aaaaaaaaaaaaaaaaaaaaaaaaaaaa! " * 8


# Each of the first ids alone, and all of them in a row.
_SAMPLE_TOKENS = 4096
# More than a refusal quotes; what a file makes a library say has no bound.
_PROBLEM_CHARACTERS = 2000


def main() -> None:
    """Checks one model and answers."""
    request = request_adapter.validate_json(sys.stdin.buffer.read())
    end_with(request.parent_id)
    # Libraries that print must not print into the answer.
    answer_descriptor = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    confine(request.allowance)
    answer = _answer([Path(each) for each in sys.argv[1:]], request)
    with os.fdopen(answer_descriptor, "wb") as file:
        file.write(answer_adapter.dump_json(answer))


def _answer(paths: Sequence[Path], request: Request) -> Answer:
    try:
        return Answer(facts=_check(paths, request))
    except Unfit as error:
        return _problem(str(error))
    except MemoryError:
        return _problem(f"checking it takes more than {request.allowance.memory_bytes} bytes of memory")
    except Exception as error:  # a check that fails is no reason to let the model pass
        return _problem(f"it could not be checked: {type(error).__name__}: {error}")


def _problem(words: str) -> Answer:
    return Answer(problem=words[:_PROBLEM_CHARACTERS])


def _check(paths: Sequence[Path], request: Request) -> Facts:
    facts = inspect_model(paths, manifest=request.manifest, max_bytes=request.max_bytes)
    tokenizer = paths[0].with_name(TOKENIZER_FILE)
    if tokenizer.is_file():
        try:
            _try_tokenizer(tokenizer, facts, request.manifest)
        except ValueError as error:
            raise Unfit(str(error)) from error
    return facts


def _try_tokenizer(path: Path, facts: Facts, manifest: Manifest) -> None:
    settings = manifest.preprocessing or TextInput()
    if isinstance(settings, TextInput) and TextEncoder.fits(facts.inputs):
        encoder = TextEncoder(path, max_length=settings.max_length)
        with suppress(InvalidField):  # a vocabulary may have none of the sample's words
            encoder.encode([_SAMPLE_TEXT], facts.inputs)
    if manifest.seq2seq is not None:
        decoder, ids = TextDecoder(path), np.arange(_SAMPLE_TOKENS)
        for tokens in (ids[:, None], ids[None, :]):
            decoder.decode(tokens, end=-1)


if __name__ == "__main__":
    main()
