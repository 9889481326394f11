"""Models of the pool: where they come from, what they are, how input becomes tensors and tensors become results."""

from __future__ import annotations

from corun.resource_pool.models.catalog import ModelCatalog, ModelEntry, install_packaged
from corun.resource_pool.models.features import GraphFeatures
from corun.resource_pool.models.model import Model
from corun.resource_pool.models.results import ItemResult, LabelScore
from corun.resource_pool.models.signature import TensorSpec

__all__ = [
    "GraphFeatures",
    "ItemResult",
    "LabelScore",
    "Model",
    "ModelCatalog",
    "ModelEntry",
    "TensorSpec",
    "install_packaged",
]
