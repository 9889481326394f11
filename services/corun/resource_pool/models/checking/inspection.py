"""The one place where a model's files are opened and checked before a browser sees them.

What they may hold is anything, so this runs in a process of its own: see `child` and `limits`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from corun.resource_pool.models.checking.contents import Unfit, check_sizes
from corun.resource_pool.models.checking.graph_file import GraphFile, failures_as_unfit, open_graph
from corun.resource_pool.models.checking.id_limits import read_id_limits
from corun.resource_pool.models.checking.parts import describe_parts
from corun.resource_pool.models.checking.trial import load_once
from corun.resource_pool.models.facts import MAX_MODEL_BYTES, Facts
from corun.resource_pool.models.features import read_features
from corun.resource_pool.models.manifest import MANIFEST_FILE, FramesInput, Manifest
from corun.resource_pool.models.recipe import Seq2Seq
from corun.resource_pool.models.samples import has_dynamic_batch, sample_shapes
from corun.resource_pool.models.shapes import known_shapes


def inspect_model(paths: Sequence[Path], *, manifest: Manifest, max_bytes: int = MAX_MODEL_BYTES) -> Facts:
    """Reads each file once, checks what it read, and describes it: one graph, or an encoder and a decoder.

    Raises:
        Unfit: as `open_graph`, for either of two files with its name; sizes that no browser holds, a manifest that
            does not fit, or a graph that does not load in a runtime.
        MemoryError: the check takes more memory than it may.
        OSError: a file cannot be read.
    """
    recipe = _recipe(paths, manifest)
    contents, facts = _describe(paths, manifest, recipe, max_bytes)
    for path, content in zip(paths, contents, strict=True):
        with _told_of(path, paths):
            load_once(content)
    return facts


def _recipe(paths: Sequence[Path], manifest: Manifest) -> Seq2Seq | None:
    if len(paths) == 1 and manifest.seq2seq is not None:
        raise Unfit(f"a table [seq2seq] needs two graphs beside it, not {paths[0].name}")
    if len(paths) > 1 and manifest.seq2seq is None:
        raise Unfit(f"{MANIFEST_FILE} needs a table [seq2seq] that says how its two graphs work together")
    return manifest.seq2seq


def _describe(
    paths: Sequence[Path], manifest: Manifest, recipe: Seq2Seq | None, max_bytes: int
) -> tuple[list[bytes], Facts]:
    # The contents alone leave: the runtime needs the place that the graphs take.
    graphs = []
    for path in paths:
        with _told_of(path, paths):
            graphs.append(open_graph(path, max_bytes=max_bytes))
    with failures_as_unfit():
        facts = (
            _describe_single(graphs[0], manifest)
            if recipe is None
            else describe_parts(graphs[0], graphs[1], recipe, manifest)
        )
    return [graph.content for graph in graphs], facts


@contextmanager
def _told_of(path: Path, paths: Sequence[Path]) -> Iterator[None]:
    try:
        yield
    except Unfit as error:
        if len(paths) == 1:
            raise
        raise Unfit(f"{path.name}: {error}") from error


def _describe_single(graph: GraphFile, manifest: Manifest) -> Facts:
    inputs = graph.inputs
    dynamic_batch = has_dynamic_batch(inputs)
    if isinstance(manifest.preprocessing, FramesInput) and not dynamic_batch:
        raise Unfit(f"frames need a free first dimension of input {inputs[0].name!r}")
    first = inputs[0].shape[0] if inputs[0].shape else 1
    batch_size = first if isinstance(first, int) else 1
    shapes = known_shapes(graph.model, sample_shapes(inputs, manifest, batch_size))
    check_sizes(shapes)
    digest = hashlib.sha256(graph.content).hexdigest()
    return Facts(
        sha256=digest,
        size_bytes=len(graph.content),
        inputs=inputs,
        outputs=graph.outputs,
        features=read_features(graph.model, shapes, batch_size=batch_size, dynamic_batch=dynamic_batch),
        id_limits=read_id_limits(graph.model, shapes),
        file_digests=(digest,),
    )
