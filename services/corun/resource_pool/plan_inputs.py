"""What a plan's runs are fed with, and how what they give back is handed to the workload's models."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
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
    for shares, tensors, from_items in _encoded(model, given):
        model.check_inputs(tensors)
        slot = f"{model.name}:{'+'.join(str(share.member) for share in shares)}:{len(batches)}"
        count = sum(share.item_count for share in shares)
        batches.append(Batch(slot, count, tuple(shares), tensors, from_items))
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


def _encoded(model: Model, given: Mapping[int, MemberInput]) -> list[tuple[list[Share], Mapping[str, Array], bool]]:
    from_items = [(member, item) for member, each in given.items() for item in each.items]
    found: list[tuple[list[Share], Mapping[str, Array], bool]] = []
    if from_items and model.batches_items:
        shares = [Share(member, len(each.items)) for member, each in given.items() if each.items]
        found.append((shares, model.encode([item for _, item in from_items]), True))
    elif from_items:
        found += [([Share(member, 1)], model.encode([item]), True) for member, item in from_items]
    tensors = [(member, each.tensors) for member, each in given.items() if each.tensors is not None]
    if model.batches_items:
        found += [(shares, merged, False) for shares, merged in _merged(model, tensors)]
    else:
        found += [([Share(member, _item_count(model, each))], each, False) for member, each in tensors]
    return found


def _merged(
    model: Model, given: Sequence[tuple[int, Mapping[str, Array]]]
) -> list[tuple[list[Share], dict[str, Array]]]:
    """Neighbours whose inputs have the same shape but for the batch, joined."""
    merged = []
    for _, group in itertools.groupby(given, key=lambda each: _trailing_shapes(each[1])):
        members = list(group)
        shares = [Share(member, _item_count(model, tensors)) for member, tensors in members]
        names = members[0][1]
        merged.append((shares, {name: np.concatenate([each[name] for _, each in members]) for name in names}))
    return merged


def _trailing_shapes(tensors: Mapping[str, Array]) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
    return tuple(sorted((name, array.dtype.name, array.shape[1:]) for name, array in tensors.items()))


def _item_count(model: Model, tensors: Mapping[str, Array]) -> int:
    first = tensors.get(model.inputs[0].name)
    if first is None or not first.ndim:
        return 1
    return len(first) if model.batches_items else 1
