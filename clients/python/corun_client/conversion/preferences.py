"""Names of browsers and of model types, and which browser is preferred for which type."""

from __future__ import annotations

from collections.abc import Mapping

from corun_client.errors import InvalidArgument

ENGINES = ("chromium", "chromium-shell", "firefox", "chrome", "msedge", "edge")
MODEL_TYPES = ("text", "text_embedding", "text_generation", "vision", "audio", "multimodal")

# What is meant by a name that stands for others; each other type means itself.
_MEANT = {"text": ("text_embedding", "text_generation")}


def engine_of(name: object, *, parameter: str = "engine") -> str:
    """The name of a browser as the wire has it; None and "" leave the choice to the pool.

    Raises:
        InvalidArgument: for a name that is not known, with those that are.
    """
    if name is None or name == "":
        return ""
    if isinstance(name, str) and name in ENGINES:
        return name
    raise InvalidArgument.of(parameter, f"{name!r} is not a browser; allowed: {', '.join(ENGINES)}")


def browser_preferences_of(value: object, *, parameter: str = "browser_preferences") -> dict[str, str]:
    """Browsers by model type, checked; None is no preference.

    Raises:
        InvalidArgument: for what is not a mapping, for names that are not known, and where `text` contradicts
            `text_embedding`, which it is another name of.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidArgument.of(parameter, f"expected a mapping of model types to browsers; received {value!r}")
    found = {}
    for model_type, engine in value.items():
        if model_type not in MODEL_TYPES:
            allowed = ", ".join(MODEL_TYPES)
            raise InvalidArgument.of(parameter, f"{model_type!r} is not a model type; allowed: {allowed}")
        where = f"{parameter}[{model_type!r}]"
        if not engine:
            raise InvalidArgument.of(where, f"{engine!r} is not a browser; allowed: {', '.join(ENGINES)}")
        found[str(model_type)] = engine_of(engine, parameter=where)
    if found.get("text", "") != found.get("text_embedding", found.get("text", "")):
        raise InvalidArgument.of(parameter, "'text' and 'text_embedding' mean the same type: give one of them")
    return found


def preferred_engine(model_type: str, preferences: Mapping[str, str]) -> str:
    """The browser that is preferred for a type by its full name, or ""."""
    alias = "text" if model_type == "text_embedding" else model_type
    return preferences.get(model_type, preferences.get(alias, ""))


def means(name: str, model_type: str) -> bool:
    """True where a caller's name of a type covers the type of a model: `text` covers all that take text."""
    return model_type in _MEANT.get(name, (name,))
