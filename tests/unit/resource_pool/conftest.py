"""Fixtures of the pool's unit tests."""

from __future__ import annotations

import pytest

from corun.plumbing.settings import cache_folder
from corun.resource_pool.models import ModelCatalog


@pytest.fixture(scope="session")
def model_catalog() -> ModelCatalog:
    """The real models of this machine's cache; fetched the first time."""
    return ModelCatalog(models_folder=None, cache_folder=cache_folder())
