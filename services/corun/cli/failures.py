"""Whatever stops a command, as one line on standard error or one JSON document on standard output."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

_USAGE = 2
_FAILED = 1

# typer brings its own copy of click in some versions: the class is found from one that typer exports.
_CLICK_ERROR: Any = next(each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")

# What a field of a request or a parameter of the client is called on the command line.
_OPTIONS: Mapping[str, str] = {
    "workload.models": "--models",
    "models": "--models",
    "workload.iterations": "--iterations",
    "iterations": "--iterations",
    "platform": "--platform",
    "browser_preferences": "--browser",
    "engine": "--engine",
    "strategy": "--strategy",
    "goal": "--goal",
    "rounds": "--rounds",
    "target": "--target",
    "host": "--host",
    "port": "--port",
    "max_connections": "--max-connections",
    "models_folder": "--models-folder",
    "db_path": "--db-path",
    "state_folder": "--state-folder",
    "validation_interval": "--validation-interval",
    "error_threshold": "--error-threshold",
    "table": "--table",
    "format": "--format",
    "max_rows": "--max-rows",
    "state": "--state",
    "limit": "--limit",
    "page_size": "--limit",
    "after_sequence": "--after",
}


class Interrupted(Exception):
    """The command was asked to end by a signal, and has closed what it had started."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"interrupted by {number.name}; everything it had started was closed")
        self.number = number


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command failed: the fields of the JSON document, and the exit code."""

    code: str
    reason: str
    message: str
    exit_code: int
    fields: Sequence[tuple[str, str]] = ()


def failure_of(error: Exception) -> Failure:
    """What to tell of an exception. Only a defect is called internal."""
    if isinstance(error, Interrupted):
        return Failure("CANCELLED", "INTERRUPTED", str(error), 128 + error.number)
    if isinstance(error, _CLICK_ERROR):
        return _usage_failure(error)
    if isinstance(error, typer.Abort):
        return Failure("CANCELLED", "INTERRUPTED", "interrupted", 128 + signal.SIGINT)
    return _service_failure(error)


def report(failure: Failure, *, as_json: bool) -> int:
    """Writes the failure; gives the exit code."""
    if as_json:
        fields = [{"field": field, "description": description} for field, description in failure.fields]
        body = {"code": failure.code, "reason": failure.reason, "message": failure.message, "fields": fields}
        print(json.dumps({"error": body}, indent=2))
    else:
        print(f"corun: {failure.message}", file=sys.stderr)
    return failure.exit_code


def option_of(field: str) -> str:
    """The option that sets a field, or ""."""
    for name, option in _OPTIONS.items():
        if field == name or field.startswith((f"{name}[", f"{name}.")):
            return option
    return ""


def _usage_failure(error: Any) -> Failure:
    option = getattr(error, "param_hint", None) or next(iter(getattr(getattr(error, "param", None), "opts", ())), "")
    fields = [(str(option), _one_line(error.message))] if option else []
    return Failure("INVALID_ARGUMENT", "USAGE", _one_line(error.format_message()), _USAGE, fields)


def _service_failure(error: Exception) -> Failure:
    from corun.errors import CorunError as DomainError  # gRPC would slow down --help
    from corun_client.errors import CorunError
    from corun_client.failures import from_domain

    if isinstance(error, DomainError):
        error = from_domain(error)
    if isinstance(error, CorunError):
        message = _with_options(error.message, [violation.field for violation in error.violations])
        exit_code = _USAGE if error.code == "INVALID_ARGUMENT" else _FAILED
        return Failure(error.code, error.reason, message, exit_code, error.violations)
    if isinstance(error, OSError):
        return Failure("UNAVAILABLE", "SYSTEM", _one_line(str(error)), _FAILED)
    if os.environ.get("CORUN_TRACEBACK"):
        traceback.print_exception(error)
    words = f"internal error: {type(error).__name__}: {_one_line(str(error))}; set CORUN_TRACEBACK=1 to see where"
    return Failure("INTERNAL", "INTERNAL", words, _FAILED)


def _with_options(message: str, fields: Sequence[str]) -> str:
    """The message with the options in front that set the fields; a field that is just the option's name goes."""
    for option in dict.fromkeys(option_of(field) for field in fields):
        if option and option not in message:
            name = option.removeprefix("--").replace("-", "_")
            message = f"{option}: {message.removeprefix(f'{name}: ')}"
    return message


def _one_line(text: str) -> str:
    return " ".join(text.split())
