"""What `corun doctor` looks at, one check a thing, each with how to get what is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from corun_client.conversion.pool import CapabilityReport, EngineReport, ModelReport, PlatformReport


class Check(TypedDict):
    """One thing looked at. Where `required` is true and `ok` is not, models cannot be run here."""

    name: str
    ok: bool
    required: bool
    detail: str
    remedy: str


def check(name: str, *, ok: bool, detail: str, remedy: str = "", required: bool = False) -> Check:
    """A check; the remedy is kept only where something is missing."""
    return {"name": name, "ok": ok, "required": required, "detail": detail, "remedy": "" if ok else remedy}


def python_check() -> Check:
    """The interpreter."""
    detail = f"{sys.version.split()[0]} at {sys.executable}"
    good = sys.version_info >= (3, 11)
    return check("python", ok=good, required=True, detail=detail, remedy="install Python 3.11 or newer")


def node_check() -> Check:
    """Node.js, which builds the browser page when corun is installed from its repository."""
    path = shutil.which("node")
    remedy = "install nodejs and npm; they are needed to build the browser page from source, not to run"
    if path is None:
        return check("node", ok=False, detail="not found", remedy=remedy)
    try:
        version = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return check("node", ok=False, detail=f"{path} does not run: {error}", remedy=remedy)
    return check("node", ok=True, detail=f"{version.strip()} at {path}")


def page_check(folder: Path) -> Check:
    """The page that browsers run."""
    built = folder.is_dir() and any(folder.iterdir())
    return check(
        "browser page",
        ok=built,
        required=True,
        detail=f"built in {folder}" if built else f"nothing in {folder}",
        remedy="reinstall corun with nodejs and npm present",
    )


def browser_checks(capabilities: CapabilityReport) -> list[Check]:
    """Every engine and its platforms as probed, whether any can run models, and the sandbox."""
    engines = capabilities["engines"]
    working = [engine for engine in engines if _platforms(engine)]
    found = [
        check(
            f"browser {engine['engine']}",
            ok=bool(_platforms(engine)),
            detail=_engine_words(engine),
            remedy=engine["detail"],
        )
        for engine in engines
    ]
    open_ones = [engine["engine"] for engine in working if not engine["sandboxed"]]
    return [
        *found,
        check(
            "any browser",
            ok=bool(working),
            required=True,
            detail=f"{len(working)} of {len(engines)} can run models",
            remedy="install one of the browsers above, for example chromium",
        ),
        check(
            "sandbox",
            ok=not open_ones,
            detail=f"off in {', '.join(open_ones)}" if open_ones else "on",
            remedy="it needs a user other than root, and user namespaces or the package chromium-sandbox",
        ),
    ]


def models_check(models: Sequence[ModelReport]) -> Check:
    """Whether there is anything to run."""
    prepared = [model["name"] for model in models if model["prepared"]]
    missing = [model["name"] for model in models if not model["prepared"]]
    detail = f"{len(prepared)} prepared" + (f" ({', '.join(prepared)})" if prepared else "")
    if missing:
        detail += f"; {len(missing)} prepared on first use: {', '.join(missing)}"
    return check("models", ok=bool(models), required=True, detail=detail, remedy="corun models --install")


def _engine_words(engine: EngineReport) -> str:
    version = engine["version"] or "not found"
    platforms = [each["platform"] + _adapter_words(each) for each in _platforms(engine)]
    return "; ".join(part for part in (version, ", ".join(platforms)) if part)


def _adapter_words(platform: PlatformReport) -> str:
    parts = [platform["adapter"], "software" if platform["software"] else ""]
    words = ", ".join(part for part in parts if part)
    return f" ({words})" if words else ""


def _platforms(engine: EngineReport) -> list[PlatformReport]:
    return [each for each in engine["platforms"] if each["supported"]] if engine["available"] else []
