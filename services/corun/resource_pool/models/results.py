"""What a model's outputs mean for one item."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LabelScore:
    """A class and its probability, 0 to 1. `index` is its place in the model's output."""

    name: str
    index: int
    score: float


@dataclass(frozen=True, slots=True)
class ItemResult:
    """The reading of one item; what the model does not give is empty.

    Attributes:
        embedding: Unit length.
        labels: Best first.
        speech: Start and end of each stretch of speech, seconds, in order of time.
        transcript: What was said.
    """

    embedding: tuple[float, ...] = ()
    labels: tuple[LabelScore, ...] = ()
    speech: tuple[tuple[float, float], ...] = ()
    transcript: str = ""
