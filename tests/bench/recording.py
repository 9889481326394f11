"""What services of this process tell their predictor, for files that tests learn from again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from corun.orchestrator.peers import Peers
from corun.v1 import predictor_service_pb2 as predictor_pb2


@contextmanager
def told_meanwhile() -> Iterator[list[predictor_pb2.ObserveRequest]]:
    """A list that grows by everything that is told from now on."""
    told: list[predictor_pb2.ObserveRequest] = []
    really_observe = Peers.observe

    async def observe(peers: Peers, request: predictor_pb2.ObserveRequest) -> predictor_pb2.ObserveResponse:
        told.append(request)
        return await really_observe(peers, request)

    with patch.object(Peers, "observe", observe):
        yield told


def as_dict(message: Message) -> dict[str, Any]:
    """A message as JSON has it, with the contract's names."""
    return MessageToDict(message, preserving_proto_field_name=True)


def write(file: Path, content: object) -> None:
    """Compressed JSON, the same for the same content."""
    file.write_bytes(gzip.compress(json.dumps(content, separators=(",", ":")).encode(), mtime=0))
