"""`python -m corun.resource_pool`: the resource pool as a process of its own."""

from __future__ import annotations

import os

from corun.plumbing.lifetime import run_service
from corun.resource_pool.build import build
from corun.resource_pool.config import Settings

if __name__ == "__main__":
    # A process of its own looks at its engines at once; a short-lived pool does when it is asked.
    os.environ.setdefault("CORUN_RESOURCE_POOL_PROBE_AT_START", "true")
    run_service("resource_pool", Settings, build)
