"""Browsers by model type."""

from __future__ import annotations

import pytest

from corun.plumbing.rules import broken_rules
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from corun_client import InvalidArgument, MultiModelResourcePoolIntegration
from corun_client.conversion.preferences import (
    ENGINES,
    MODEL_TYPES,
    browser_preferences_of,
    engine_of,
    means,
    preferred_engine,
)


def test_every_name_that_the_client_takes_is_one_that_the_service_takes() -> None:
    for engine in ENGINES:
        preferences = browser_preferences_of(dict.fromkeys(MODEL_TYPES, engine))
        request = orchestrator_pb2.ExecuteWithStrategyRequest(browser_preferences=preferences)
        assert [each.field for each in broken_rules(request) if "browser" in each.field] == []


@pytest.mark.parametrize("value", [None, {}])
def test_no_preference_is_fine(value: object) -> None:
    assert browser_preferences_of(value) == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"smell": "firefox"}, r"^browser_preferences: 'smell' is not a model type; allowed: text, text_embedding"),
        ({1: "firefox"}, r"^browser_preferences: 1 is not a model type"),
        ({"vision": "opera"}, r"^browser_preferences\['vision'\]: 'opera' is not a browser; allowed: chromium"),
        ({"vision": ""}, r"^browser_preferences\['vision'\]: '' is not a browser"),
        ({"vision": None}, r"^browser_preferences\['vision'\]: None is not a browser"),
        (["vision"], r"^browser_preferences: expected a mapping"),
        ({"text": "firefox", "text_embedding": "chrome"}, "mean the same type"),
    ],
)
def test_an_unknown_name_is_refused_with_the_names_that_there_are(value: object, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        browser_preferences_of(value)
    with pytest.raises(InvalidArgument, match=message):
        MultiModelResourcePoolIntegration(browser_preferences=value)  # type: ignore[arg-type]


def test_a_type_finds_its_preference_under_either_name() -> None:
    assert preferred_engine("text_embedding", {"text": "firefox"}) == "firefox"
    assert preferred_engine("text_generation", {"text": "firefox"}) == ""
    assert preferred_engine("vision", {"vision": "edge"}) == "edge"


def test_no_engine_leaves_the_choice_to_the_pool() -> None:
    assert (engine_of(None), engine_of("")) == ("", "")


def test_text_covers_every_type_that_takes_text() -> None:
    assert means("text", "text_embedding")
    assert means("text", "text_generation")
    assert not means("text", "vision")
    assert means("audio", "audio")
