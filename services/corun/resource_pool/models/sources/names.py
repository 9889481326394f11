"""Names of models and the names of their folders in the cache."""

from __future__ import annotations

import re

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_NAME = re.compile(f"{_PART}(/{_PART})?")


def is_model_name(name: str) -> bool:
    """True for `name` and `organisation/name`; false for anything that could lead out of a folder."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def is_repository(name: str) -> bool:
    """True for `organisation/name` as the Hub has it."""
    return is_model_name(name) and "/" in name and "--" not in name


def cache_folder_name(name: str) -> str:
    """The Hub forbids two hyphens in a row, so they can stand for the slash."""
    return name.replace("/", "--")


def name_of_cache_folder(folder_name: str) -> str:
    """The opposite of `cache_folder_name`."""
    return folder_name.replace("--", "/")
