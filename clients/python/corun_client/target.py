"""Addresses of services."""

from __future__ import annotations

from corun_client.errors import InvalidArgument


def checked_target(target: object, *, parameter: str = "target") -> str:
    """`target` itself when it is HOST:PORT (IPv6 hosts in brackets).

    Raises:
        InvalidArgument: when it is not.
    """
    if not isinstance(target, str):
        raise InvalidArgument.of(parameter, f"expected HOST:PORT, for example 127.0.0.1:50051; received {target!r}")
    host, colon, port = target.rpartition(":")
    good_host = bool(host) and not host.isspace() and (":" not in host or (host[0] == "[" and host[-1] == "]"))
    good_port = port.isascii() and port.isdigit() and 1 <= int(port) <= 65535
    if not (colon and good_host and good_port):
        raise InvalidArgument.of(
            parameter,
            f"expected HOST:PORT with a port from 1 to 65535, for example 127.0.0.1:50051; received {target!r}",
        )
    return target
