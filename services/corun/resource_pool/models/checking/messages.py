"""What a check is asked and what it answers, as JSON between two processes."""

from __future__ import annotations

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from corun.resource_pool.models.checking.limits import Allowance
from corun.resource_pool.models.facts import Facts
from corun.resource_pool.models.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Request:
    """Asks for the check of a model, the paths of whose graphs are on the command line."""

    manifest: Manifest
    max_bytes: int
    allowance: Allowance
    parent_id: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Facts of a good model, or what is the matter with it."""

    facts: Facts | None = None
    problem: str = ""


request_adapter: TypeAdapter[Request] = TypeAdapter(Request)
answer_adapter: TypeAdapter[Answer] = TypeAdapter(Answer)
