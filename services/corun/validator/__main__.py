"""`python -m corun.validator`: serves until it is asked to end."""

from __future__ import annotations

from corun.plumbing.lifetime import run_service
from corun.validator.build import build
from corun.validator.config import Settings

if __name__ == "__main__":
    run_service("validator", Settings, build)
