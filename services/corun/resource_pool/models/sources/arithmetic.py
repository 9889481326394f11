"""Models without weights: arithmetic that goes with the other models, made here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from corun.resource_pool.models.graphs.builder import GraphBuilder
from corun.resource_pool.models.graphs.similarity import cosine_similarity_graph
from corun.resource_pool.models.manifest import Manifest, write_manifest


@dataclass(frozen=True, slots=True)
class ArithmeticModel:
    """A graph to be written. A changed graph needs a changed `manifest.source`, or prepared ones stay as they are."""

    name: str
    graph: Callable[[], GraphBuilder]
    manifest: Manifest

    def fill(self, folder: Path) -> None:
        """Writes the model folder."""
        self.graph().save(folder / "model.onnx")
        write_manifest(folder, self.manifest)


_MODELS = (
    ArithmeticModel(
        "cosine-similarity",
        cosine_similarity_graph,
        Manifest(
            # What is compared may be embeddings of text, images or sound.
            type="multimodal",
            weights_origin="NONE",
            source="arithmetic of corun's own, version 1: scores of queries against the rows of a matrix",
            license="Apache-2.0",
            # One hundred embeddings of a small text model a query.
            sample_sizes={"rows": 100, "width": 384},
        ),
    ),
)

ARITHMETIC_MODELS = {model.name: model for model in _MODELS}
