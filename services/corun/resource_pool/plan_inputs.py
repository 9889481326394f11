"""What a plan's runs are fed with, and how what they give back is handed to the workload's models."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from corun.errors import InvalidField
from corun.resource_pool.browser.frames import Array
from corun.resource_pool.core.plan import PlannedRun
from corun.resource_pool.models import ItemResult, Model


@dataclass(frozen=True, slots=True)
class MemberInput:
    """What the caller brings for one model of the workload: items, or all inputs of the graph by name.

    `place` is its index in the request, for errors.
    """

    place: int
    items: tuple[str | bytes, ...] = ()
    tensors: Mapping[str, Array] | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a batch that belongs to one model of the workload, in items."""

    member: int
    item_count: int


@dataclass(frozen=True, slots=True)
class Batch:
    """One inference. A run is one or several of them, one after another in its lane.

    Attributes:
        slot: Name of its inputs in the lane; equal names hold equal inputs.
        shares: Whose items it holds, in order; empty for samples.
        tensors: Inputs that the caller brought; None: samples of `item_count` items.
        item_count: Items.
        from_items: True when the caller brought items, so that outputs can be read.
    """

    slot: str
    item_count: int
    shares: tuple[Share, ...] = ()
    tensors: Mapping[str, Array] | None = None
    from_items: bool = False


def batches_of(run: PlannedRun, model: Model, inputs: Mapping[int, MemberInput]) -> tuple[Batch, ...]:
    """The inferences of a run.

    Runs of the same model that were merged are one batch where the graph takes any number of items and their
    inputs have the same shape but for the batch, and one after another where not. A graph whose batch is fixed
    serves larger runs by several inferences.

    Raises:
        InvalidField: the caller's input does not fit the model, or is not as large as the plan says.
    """
    given = {member: inputs[member] for member in run.members if member in inputs}
    if not given:
        return _samples(run, model)
    without = [str(member) for member in run.members if member not in given]
    if without:
        raise InvalidField("inputs", f"models {', '.join(without)} run merged with some that bring inputs: give theirs")
    batches: list[Batch] = []
    for part in [*_of_items(model, given), *_of_tensors(model, given)]:
        count = sum(share.item_count for share in part.shares)
        slot = f"{model.name}:{'+'.join(str(share.member) for share in part.shares)}:{len(batches)}"
        batches.append(Batch(slot, count, part.shares, part.tensors, part.from_items))
    total = sum(batch.item_count for batch in batches)
    if total != run.batch_size:
        place = next(iter(given.values())).place
        raise InvalidField(
            f"inputs[{place}]", f"{total} items for a run whose batch_size is {run.batch_size} ({model.name})"
        )
    return tuple(batches)


def handed_out(
    batch: Batch, model: Model, outputs: Mapping[str, Array]
) -> list[tuple[int, dict[str, Array], tuple[ItemResult, ...]]]:
    """For each model of the workload that the batch served: its part of the outputs, and the readings of its items.

    Outputs without a batch axis go to each.
    """
    results = tuple(model.decode(outputs, batch.tensors or {})) if batch.from_items else ()
    handed, start = [], 0
    for share in batch.shares:
        end = start + share.item_count
        part = {
            name: array[start:end] if array.ndim and len(array) == batch.item_count else array
            for name, array in outputs.items()
        }
        handed.append((share.member, part, results[start:end]))
        start = end
    return handed


def _samples(run: PlannedRun, model: Model) -> tuple[Batch, ...]:
    fixed = model.fixed_batch
    if fixed is None or run.batch_size % fixed:
        return (Batch(f"{model.name}:{run.batch_size}", run.batch_size),)
    return (Batch(f"{model.name}:{fixed}", fixed),) * (run.batch_size // fixed)


@dataclass(frozen=True, slots=True)
class _Part:
    """Inputs of one inference, and whose items they are."""

    shares: tuple[Share, ...]
    tensors: Mapping[str, Array]
    from_items: bool


def _of_items(model: Model, given: Mapping[int, MemberInput]) -> Iterator[_Part]:
    """All items in one inference where the graph takes any number, else as many in each as it does take."""
    items = [(member, item) for member, each in given.items() for item in each.items]
    size = max(1, len(items)) if model.batches_items else model.fixed_batch or 1
    for start in range(0, len(items), size):
        some = items[start : start + size]
        shares = tuple(
            Share(member, len(list(own))) for member, own in itertools.groupby(some, key=lambda each: each[0])
        )
        try:
            tensors = model.encode([item for _, item in some])
            model.check_inputs(tensors)
        except InvalidField as error:
            raise _blamed(model, given, shares, error) from error
        yield _Part(shares, tensors, from_items=True)


def _blamed(
    model: Model, given: Mapping[int, MemberInput], shares: Sequence[Share], error: InvalidField
) -> InvalidField:
    """The error told of the member that it comes from: the first whose items fail by themselves."""
    for share in shares:
        try:
            model.encode(given[share.member].items)
        except InvalidField as own:
            return own.inside(f"inputs[{given[share.member].place}]")
    return error.inside(f"inputs[{given[shares[0].member].place}]")


def _of_tensors(model: Model, given: Mapping[int, MemberInput]) -> Iterator[_Part]:
    """Neighbours whose inputs can be stacked are one inference."""
    brought = [(member, each.place, each.tensors) for member, each in given.items() if each.tensors is not None]
    for _, place, tensors in brought:
        try:
            model.check_inputs(tensors)
        except InvalidField as error:
            raise error.inside(f"inputs[{place}]") from error
    if not _stacks(model):
        yield from (
            _Part((Share(member, _item_count(model, own)),), own, from_items=False) for member, _, own in brought
        )
        return
    for _, group in itertools.groupby(brought, key=lambda each: _trailing_shapes(each[2])):
        members = list(group)
        shares = tuple(Share(member, _item_count(model, tensors)) for member, _, tensors in members)
        merged = {name: np.concatenate([each[name] for _, _, each in members]) for name in members[0][2]}
        yield _Part(shares, merged, from_items=False)


def _stacks(model: Model) -> bool:
    """True where items lie along the first axis of every input."""
    leading = {spec.shape[0] if spec.shape else None for spec in model.inputs}
    return model.batches_items and len(leading) == 1


def _trailing_shapes(tensors: Mapping[str, Array]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple(sorted((name, array.shape[1:]) for name, array in tensors.items()))


def _item_count(model: Model, tensors: Mapping[str, Array]) -> int:
    return len(tensors[model.inputs[0].name]) if model.batches_items else model.fixed_batch or 1
