"""The kinds of browser that the pool can start: data, and the command line each needs."""

from __future__ import annotations

import functools
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Keeps the browser off the network: nothing it would fetch by itself helps a model run.
_QUIET = (
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)
# Without these, after some GPU process crashes WebGPU stays away while the browser looks healthy.
_GPU_SURVIVES_CRASHES = ("--disable-gpu-process-crash-limit", "--disable-domain-blocking-for-3d-apis")
# Lets a lane free a model's file as soon as the runtime has copied it, instead of whenever the browser likes.
_COLLECTS_ON_REQUEST = ("--js-flags=--expose-gc",)
_WEBGPU = ("--enable-unsafe-webgpu",)
_SETUID_SANDBOX = Path("/usr/lib/chromium/chrome-sandbox")
_SOFTWARE_WEBGPU = ("--use-webgpu-adapter=swiftshader",)


@dataclass(frozen=True, slots=True)
class Engine:
    """A kind of browser.

    Attributes:
        name: As in results and requests.
        platforms: Platforms worth trying in it; what works is found out by trying.
        executables: Names or paths of its executable, the preferred first.
        how_to_get: What to do when it is missing.
        arguments: Its command line on this machine.
    """

    name: str
    platforms: tuple[str, ...]
    executables: tuple[str, ...]
    how_to_get: str
    arguments: Callable[[], tuple[str, ...]]

    def executable(self) -> Path | None:
        """Where it is installed, or None."""
        for candidate in self.executables:
            found = shutil.which(candidate)
            if found:
                return Path(found)
        return None


def has_gpu() -> bool:
    """True when the machine has a graphics device that a browser could use."""
    return Path("/dev/dri").is_dir()


@functools.cache
def runs_sandboxed() -> bool:
    """True where Chromium's own sandbox works: not for root, and only with user namespaces or its setuid helper.

    Containers and chroots often forbid user namespaces; whether this one does is found out by making one.
    """
    if os.geteuid() == 0:
        return False
    if _SETUID_SANDBOX.is_file() and _SETUID_SANDBOX.stat().st_mode & stat.S_ISUID:
        return True
    unshare = shutil.which("unshare")
    if unshare is None:
        return True
    attempt = subprocess.run(
        [unshare, "--user", "--map-root-user", "true"], capture_output=True, check=False, timeout=5
    )
    return attempt.returncode == 0


def _chromium_arguments() -> tuple[str, ...]:
    software = () if has_gpu() else _SOFTWARE_WEBGPU
    return (*_QUIET, *_COLLECTS_ON_REQUEST, *_GPU_SURVIVES_CRASHES, *_WEBGPU, *software)


CHROMIUM = Engine(
    name="chromium",
    platforms=("wasm", "webgpu"),
    executables=("chromium", "chromium-browser"),
    how_to_get="install the package chromium (Debian: apt install chromium)",
    arguments=_chromium_arguments,
)

ENGINES = (CHROMIUM,)
