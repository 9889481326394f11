"""`python -m corun.resource_pool.models.checking.child FOLDER`: the check of one model, in a process of its own.

The request comes on standard input, the answer goes to standard output. Whatever else happens (a crash, a signal,
a limit) says something about the model as well: the parent makes a refusal of it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from corun.errors import InvalidField, ModelRefused
from corun.resource_pool.models.checking.inspection import inspect_model_file
from corun.resource_pool.models.checking.limits import confine, end_with
from corun.resource_pool.models.checking.messages import Answer, Request, answer_adapter, request_adapter
from corun.resource_pool.models.facts import MODEL_FILE, Facts
from corun.resource_pool.models.manifest import TextInput
from corun.resource_pool.models.text import TOKENIZER_FILE, TextEncoder

# Of several scripts, with what normalisers like to replace.
_SAMPLE_TEXT = "The quick brown fox, 42 times: naïve café — Straße, Ελλάδα, 東京 🦊 aaaaaaaaaaaaaaaaaaaaaaaaaaaa! " * 8


def main() -> None:
    """Checks one model and answers."""
    request = request_adapter.validate_json(sys.stdin.buffer.read())
    end_with(request.parent_id)
    # Libraries that print must not print into the answer.
    answer_descriptor = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    confine(request.allowance)
    answer = _answer(Path(sys.argv[1]), request)
    with os.fdopen(answer_descriptor, "wb") as file:
        file.write(answer_adapter.dump_json(answer))


def _answer(folder: Path, request: Request) -> Answer:
    try:
        return Answer(facts=_check(folder, request))
    except ModelRefused as refused:
        return Answer(problem=refused.problem)
    except MemoryError:
        return Answer(problem=f"checking it takes more than {request.allowance.memory_bytes} bytes of memory")
    except Exception as error:  # a check that fails is no reason to let the model pass
        return Answer(problem=f"it could not be checked: {type(error).__name__}: {error}")


def _check(folder: Path, request: Request) -> Facts:
    facts = inspect_model_file(
        folder / MODEL_FILE, name=request.name, manifest=request.manifest, max_bytes=request.max_bytes
    )
    settings = request.manifest.preprocessing or TextInput()
    if isinstance(settings, TextInput) and TextEncoder.fits(facts.inputs) and (folder / TOKENIZER_FILE).is_file():
        try:
            encoder = TextEncoder(folder / TOKENIZER_FILE, max_length=settings.max_length)
            with suppress(InvalidField):  # a vocabulary may have none of the sample's words
                encoder.encode([_SAMPLE_TEXT], facts.inputs)
        except ValueError as error:
            raise ModelRefused(request.name, str(error)) from error
    return facts


if __name__ == "__main__":
    main()
