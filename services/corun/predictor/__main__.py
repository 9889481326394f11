"""`python -m corun.predictor`: serves until it is asked to end."""

from __future__ import annotations

from corun.plumbing.lifetime import run_service
from corun.predictor.build import build
from corun.predictor.config import Settings

if __name__ == "__main__":
    run_service("predictor", Settings, build)
