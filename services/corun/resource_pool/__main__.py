"""`python -m corun.resource_pool`: the resource pool as a process of its own."""

from __future__ import annotations

from corun.plumbing.lifetime import run_service
from corun.resource_pool.build import build
from corun.resource_pool.config import Settings

if __name__ == "__main__":
    run_service("resource_pool", Settings, build)
