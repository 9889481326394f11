"""The guide's words for the contract's enums."""

from __future__ import annotations

from corun.v1 import core_pb2


def platform_name(platform: core_pb2.Platform.ValueType) -> str:
    """webgpu, webnn or wasm."""
    return core_pb2.Platform.Name(platform).removeprefix("PLATFORM_").lower()
