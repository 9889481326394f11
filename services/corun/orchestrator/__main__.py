"""`python -m corun.orchestrator`: serves until it is asked to end."""

from __future__ import annotations

from corun.orchestrator.build import build
from corun.orchestrator.config import Settings
from corun.plumbing.lifetime import run_service

if __name__ == "__main__":
    run_service("orchestrator", Settings, build)
