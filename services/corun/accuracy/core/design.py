"""What is to be run: random workloads to learn from, and others, held out, to be predicted."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from corun.orchestrator.core.terms import Strategy

FEWEST_MODELS = 3
LEAST_TRAIN = 3
LEAST_TEST = 2
_SIZES = (2, 6)
_BATCH_SIZES = (1, 8)
# Tries to find another combination of models before there is taken to be none.
_MOST_TRIES = 1000

Workload = tuple[tuple[str, int], ...]
"""Names of models, each with its batch size; the same model may appear more than once."""


@dataclass(frozen=True, slots=True)
class Design:
    """The workloads of one benchmark.

    Attributes:
        left_out: The model that training does without.
        training: Workloads to learn from, each with the strategy that it runs under.
        seen: Held-out workloads of models that training has, in combinations that it does not have.
        unseen: Held-out workloads with the model that was left out.
    """

    left_out: str
    training: tuple[tuple[Workload, Strategy], ...]
    seen: tuple[Workload, ...]
    unseen: tuple[Workload, ...]

    @property
    def model_names(self) -> tuple[str, ...]:
        """Every model of any workload, by name."""
        workloads = [workload for workload, _ in self.training] + list(self.held_out)
        return tuple(sorted({name for workload in workloads for name, _ in workload}))

    @property
    def held_out(self) -> tuple[Workload, ...]:
        """All workloads to be predicted."""
        return self.seen + self.unseen


def draw_design(models: Sequence[str], *, seed: int, train_count: int, test_count: int) -> Design:
    """Draws workloads of 2 to 6 models and batch sizes of 1 to 8; the same arguments give the same design.

    Training goes through the strategies in turn. A third of the held-out workloads has the left-out model.

    Args:
        models: At least three different names.
        seed: Of the random generator.
        train_count: Executions to learn from, at least 3.
        test_count: Held-out workloads, at least 2.

    Raises:
        ValueError: when there are too few models for so many combinations.
    """
    generator = random.Random(seed)
    names = sorted(set(models))
    if len(names) < FEWEST_MODELS:
        raise ValueError(f"at least {FEWEST_MODELS} different models are needed; received {len(names)}")
    left_out = generator.choice(names)
    known = [name for name in names if name != left_out]
    training = [_workload(generator, known) for _ in range(train_count)]
    taken = {_combination(workload) for workload in training}
    unseen_count = max(1, round(test_count / 3))
    seen = [_another(lambda: _workload(generator, known), taken) for _ in range(test_count - unseen_count)]
    unseen = [_another(lambda: _workload(generator, known, left_out), taken) for _ in range(unseen_count)]
    strategies = tuple(Strategy)
    in_turn = [strategies[index % len(strategies)] for index in range(train_count)]
    return Design(left_out, tuple(zip(training, in_turn, strict=True)), tuple(seen), tuple(unseen))


def _workload(generator: random.Random, known: Sequence[str], left_out: str | None = None) -> Workload:
    size = generator.randint(*_SIZES)
    chosen = [generator.choice(known) for _ in range(size)]
    if left_out is not None:
        chosen[generator.randrange(size)] = left_out
    return tuple((name, generator.randint(*_BATCH_SIZES)) for name in chosen)


def _another(draw: Callable[[], Workload], taken: set[tuple[str, ...]]) -> Workload:
    """A workload whose models were not run together before; they are now taken."""
    for _ in range(_MOST_TRIES):
        workload = draw()
        if _combination(workload) not in taken:
            taken.add(_combination(workload))
            return workload
    raise ValueError("there are too few models for so many different workloads")


def _combination(workload: Workload) -> tuple[str, ...]:
    return tuple(sorted(name for name, _ in workload))
