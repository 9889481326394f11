"""Channels to corun's services, with the same limits everywhere."""

from __future__ import annotations

import json
import math

import grpc

from corun.plumbing.server import MAX_MESSAGE_BYTES

# Only UNAVAILABLE is worth repeating blindly: the call never reached a handler or the handler said so.
ATTEMPTS = 3
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, _PAUSE_FACTOR = 0.2, 1.0, 2
_SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": ATTEMPTS,
                    "initialBackoff": f"{_FIRST_PAUSE_SECONDS}s",
                    "maxBackoff": f"{_LONGEST_PAUSE_SECONDS}s",
                    "backoffMultiplier": _PAUSE_FACTOR,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)

CHANNEL_OPTIONS: list[tuple[str, str | int]] = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.service_config", _SERVICE_CONFIG),
    # A service that was restarted is found within the attempts of one call; by default gRPC looks for it less and less
    # often.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 250),
    ("grpc.enable_http_proxy", 0),  # else a proxy of the environment comes between us and loopback
]


def open_channel(target: str) -> grpc.aio.Channel:
    """An asyncio channel to HOST:PORT; it connects on first use. The caller closes it."""
    return grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)


def open_sync_channel(target: str) -> grpc.Channel:
    """A blocking channel to HOST:PORT; it connects on first use. The caller closes it."""
    return grpc.insecure_channel(target, options=CHANNEL_OPTIONS)


def pause_after(attempt: int) -> float:
    """Seconds between an attempt, from 1, and the next one."""
    return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * math.pow(_PAUSE_FACTOR, attempt - 1))
