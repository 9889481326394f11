"""Build hook: writes the gRPC stubs from the protos and builds the browser page from its TypeScript."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
SERVICES = ROOT / "services"
PAGE = SERVICES / "corun" / "resource_pool" / "page"


class BuildHook(BuildHookInterface[Any]):
    """Runs before every wheel and every editable install."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generates what the packages import but the repository does not hold."""
        generate_stubs()
        build_page()


def generate_stubs() -> None:
    """Writes `corun.v1` and `buf.validate` with type stubs under services/."""
    import grpc_tools  # only in the build environment
    from grpc_tools import protoc

    corun_protos = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.glob("corun/v1/*.proto"))
    shutil.rmtree(SERVICES / "corun" / "v1", ignore_errors=True)
    shutil.rmtree(SERVICES / "buf", ignore_errors=True)
    arguments = [
        "protoc",
        f"--proto_path={PROTOS}",
        f"--proto_path={Path(grpc_tools.__file__).parent / '_proto'}",
        f"--python_out={SERVICES}",
        f"--mypy_out=quiet:{SERVICES}",
    ]
    services = [name for name in corun_protos if name.endswith("_service.proto")]
    for step in (
        [*arguments, *corun_protos, "buf/validate/validate.proto"],
        [*arguments[:3], f"--grpc_python_out={SERVICES}", f"--mypy_grpc_out=quiet:{SERVICES}", *services],
    ):
        if protoc.main(step) != 0:
            raise RuntimeError(f"protoc failed: {' '.join(step)}")
    for package in ("corun/v1", "buf", "buf/validate"):
        (SERVICES / package / "__init__.py").write_text('"""Generated from the protos at install."""\n')
    (SERVICES / "corun" / "v1" / "py.typed").touch()


def build_page() -> None:
    """Bundles the page with npm from its lock file, unless its sources are unchanged."""
    stamp = PAGE / "dist" / "sources.sha256"
    sources = sorted(path for path in PAGE.rglob("*") if path.is_file() and _is_source(path))
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in sources)).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is needed to build the browser page: install nodejs and npm (Debian: apt install npm)")
    subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=PAGE, check=True)
    subprocess.run([npm, "run", "--silent", "build"], cwd=PAGE, check=True)
    stamp.write_text(digest)


def _is_source(path: Path) -> bool:
    inside = path.relative_to(PAGE).parts[0]
    return inside not in {"node_modules", "dist"}
