"""Which engine serves, and what is said when it is not the preferred one."""

from __future__ import annotations

import pytest

from corun.resource_pool.core.engine_choice import (
    EngineChoice,
    Fallback,
    Offer,
    candidates,
    choose_engine,
    preferences_by_type,
)

ENGINES = ("chromium", "chromium-shell", "firefox", "chrome", "msedge")


@pytest.mark.parametrize(
    ("preferred", "expected"),
    [
        ("", ENGINES),
        ("firefox", ("firefox", "chromium", "chromium-shell", "chrome", "msedge")),
        ("chrome", ("chrome", "chromium", "chromium-shell", "firefox", "msedge")),
        ("edge", ("msedge", "chromium", "chromium-shell", "firefox", "chrome")),
        ("chromium-shell", ("chromium-shell", "chromium", "firefox", "chrome", "msedge")),
        ("safari", ENGINES),
    ],
)
def test_the_preferred_engine_is_asked_first_then_its_relatives_then_the_others(
    preferred: str, expected: tuple[str, ...]
) -> None:
    assert candidates(preferred, ENGINES) == expected


def test_only_engines_of_the_pool_are_asked() -> None:
    assert candidates("chrome", ("firefox", "chromium")) == ("chromium", "firefox")


def test_the_preferred_engine_serves_without_further_words() -> None:
    assert choose_engine("firefox", [Offer("firefox")]) == EngineChoice("firefox")


def test_another_name_of_the_preferred_engine_is_no_fallback() -> None:
    assert choose_engine("edge", [Offer("msedge")]) == EngineChoice("msedge")


def test_without_a_preference_the_first_that_can_serves_and_nothing_is_a_fallback() -> None:
    assert choose_engine("", [Offer("chromium", "it crashes"), Offer("firefox")]) == EngineChoice("firefox")


def test_who_serves_instead_of_the_preferred_engine_says_why() -> None:
    offers = [Offer("msedge", "it is not installed"), Offer("chromium", "it crashes"), Offer("chromium-shell")]
    assert choose_engine("edge", offers, model_type="vision") == EngineChoice(
        "chromium-shell", Fallback("vision", "edge", "chromium-shell", "it is not installed")
    )


def test_a_preferred_engine_that_the_pool_does_not_know_is_said_to_be_unknown() -> None:
    choice = choose_engine("safari", [Offer("chromium")])
    assert choice is not None
    assert choice.fallback == Fallback("", "safari", "chromium", "this pool has no such engine")


def test_nobody_serves_when_all_have_a_problem() -> None:
    assert choose_engine("firefox", [Offer("firefox", "gone"), Offer("chromium", "gone")]) is None
    assert choose_engine("", []) is None


def test_preferences_are_kept_by_the_full_names_of_model_types() -> None:
    assert preferences_by_type({"text": "firefox", "vision": "chrome"}) == {
        "text_embedding": "firefox",
        "vision": "chrome",
    }
