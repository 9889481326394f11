"""The kinds of browser that the pool can start: data, and where each is found on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from corun.resource_pool.browser import chromium_shell

Family = Literal["chromium", "firefox"]


@dataclass(frozen=True, slots=True)
class Engine:
    """A kind of browser.

    Attributes:
        name: As in results and requests.
        family: How it is launched.
        platforms: Platforms worth trying in it; what works is found out by trying.
        find: Gives its executable's place on this machine, or None.
        how_to_get: What to do when it is missing.
    """

    name: str
    family: Family
    platforms: tuple[str, ...]
    find: Callable[[], Path | None]
    how_to_get: str


def _first_of(*candidates: str) -> Callable[[], Path | None]:
    """Finds the first of several names or paths that is an executable."""

    def find() -> Path | None:
        found = next((place for candidate in candidates if (place := shutil.which(candidate))), None)
        return Path(found) if found else None

    return find


CHROMIUM = Engine(
    name="chromium",
    family="chromium",
    platforms=("wasm", "webgpu", "webnn"),
    find=_first_of("chromium", "chromium-browser"),
    how_to_get="install the package chromium (Debian: apt install chromium)",
)
CHROMIUM_SHELL = Engine(
    name="chromium-shell",
    family="chromium",
    platforms=("wasm", "webgpu", "webnn"),
    find=chromium_shell.find,
    how_to_get="run: corun engines --install (needs node and npm; x86-64 Linux)",
)
FIREFOX = Engine(
    name="firefox",
    family="firefox",
    platforms=("wasm", "webgpu"),
    find=_first_of("firefox-esr", "firefox", "/Applications/Firefox.app/Contents/MacOS/firefox"),
    how_to_get="install Firefox and, without a GPU, Mesa's Vulkan driver "
    "(Debian: apt install firefox-esr mesa-vulkan-drivers)",
)
CHROME = Engine(
    name="chrome",
    family="chromium",
    platforms=("wasm", "webgpu", "webnn"),
    find=_first_of(
        "google-chrome",
        "google-chrome-stable",
        "/opt/google/chrome/chrome",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ),
    how_to_get="install Google Chrome from its maker; chromium stands in for it",
)
MSEDGE = Engine(
    name="msedge",
    family="chromium",
    platforms=("wasm", "webgpu", "webnn"),
    find=_first_of(
        "microsoft-edge",
        "microsoft-edge-stable",
        "/opt/microsoft/msedge/msedge",
        "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    ),
    how_to_get="install Microsoft Edge from its maker; chromium stands in for it",
)

# In the order in which they are tried where nobody prefers one.
ENGINES = {engine.name: engine for engine in (CHROMIUM, CHROMIUM_SHELL, FIREFOX, CHROME, MSEDGE)}
