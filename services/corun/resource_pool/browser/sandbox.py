"""Whether a browser's own sandbox works on this machine."""

from __future__ import annotations

import functools
import os
import shutil
import stat
import subprocess
from pathlib import Path

from corun.resource_pool.browser.engines import Engine

_SETUID_HELPER = Path("/usr/lib/chromium/chrome-sandbox")


def is_sandboxed(engine: Engine) -> bool:
    """True where the engine's sandbox is on: Firefox's always is, Chromium's not for root, and only with user
    namespaces or its setuid helper."""
    if engine.family == "firefox":
        return True
    if os.geteuid() == 0:
        return False
    if engine.name == "chromium" and _SETUID_HELPER.is_file() and _SETUID_HELPER.stat().st_mode & stat.S_ISUID:
        return True
    return _has_user_namespaces()


@functools.cache
def _has_user_namespaces() -> bool:
    # Containers and chroots often forbid them; whether this one does is found out by making one.
    unshare = shutil.which("unshare")
    if unshare is None:
        return True
    attempt = subprocess.run(
        [unshare, "--user", "--map-root-user", "true"], capture_output=True, check=False, timeout=5
    )
    return attempt.returncode == 0
