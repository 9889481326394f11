"""Models of the pool: where they come from, what they are, how input becomes tensors and tensors become results."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corun.resource_pool.models.catalog import ModelCatalog, ModelEntry, install_packaged
    from corun.resource_pool.models.features import GraphFeatures
    from corun.resource_pool.models.model import Model
    from corun.resource_pool.models.results import ItemResult, LabelScore
    from corun.resource_pool.models.signature import TensorSpec
else:
    _HOMES = {
        "GraphFeatures": "features",
        "ItemResult": "results",
        "LabelScore": "results",
        "Model": "model",
        "ModelCatalog": "catalog",
        "ModelEntry": "catalog",
        "TensorSpec": "signature",
        "install_packaged": "catalog",
    }

    def __getattr__(name: str) -> Any:
        # Imported when asked for: the process that checks a model needs a few modules of this package, and would
        # spend more time on the Hub's client than on most models.
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


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
