"""Checks requests against the rules written in the protos, and words what is broken for people."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import Message
from protovalidate import Validator

from corun.plumbing.status import Violation

_validator = Validator()
_QUOTED_CHARACTERS = 100
_MOST_VIOLATIONS = 20


def broken_rules(message: Message) -> list[Violation]:
    """Fields of `message` that break their rules, the first twenty; empty when all is well."""
    found = []
    for violation in _validator.collect_violations(message)[:_MOST_VIOLATIONS]:
        elements = list(violation.proto.field.elements) if violation.proto.field else []
        names = [element.field_name for element in elements]
        path = ".".join(
            element.field_name + (f"[{element.subscript.value}]" if element.subscript is not None else "")
            for element in elements
        )
        description = _in_words(violation.proto.message, violation.field_value, _enum_names(message, names))
        found.append(Violation(path, description))
    return found


def _enum_names(message: Message, names: list[str]) -> list[str]:
    """Allowed values of the enum field that `names` lead to; empty when it is no enum."""
    descriptor = message.DESCRIPTOR
    for depth, name in enumerate(names):
        field = descriptor.fields_by_name.get(name)
        if field is None:
            break
        if depth == len(names) - 1 and field.enum_type is not None:
            return [value.name for value in field.enum_type.values if value.number != 0]
        if field.message_type is None:
            break
        descriptor = field.message_type
    return []


def shortened(text: str) -> str:
    """At most `_QUOTED_CHARACTERS` of it: statuses travel in headers, which must stay small."""
    return text if len(text) <= _QUOTED_CHARACTERS else f"{text[:_QUOTED_CHARACTERS]}… ({len(text)} characters)"


def _in_words(rule: str, value: object, allowed: list[str]) -> str:
    words = rule
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        words += f"; received {shortened(repr(value))}"
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        words += f"; received {len(value)}"
    if allowed:
        words += "; allowed: " + ", ".join(allowed)
    return words
