"""How engines and their platforms have done lately."""

from __future__ import annotations

from dataclasses import dataclass, field

from corun.resource_pool.core.platform_health import PlatformHealth


@dataclass
class Watched:
    """Health with a clock that a test sets, and what was told of it."""

    now: float = 100.0
    told: list[str] = field(default_factory=list)
    health: PlatformHealth = field(init=False)

    def __post_init__(self) -> None:
        self.health = PlatformHealth(clock=lambda: self.now, on_change=self.told.append)

    def fail(self, times: int, *, platform: str = "", engine: str = "chromium") -> None:
        for _ in range(times):
            self.health.note_failure(engine, "it crashed", platform=platform)


def test_what_never_failed_has_no_problem() -> None:
    health = Watched().health
    assert health.problem("chromium", "wasm") == ""
    assert health.worst("chromium", "wasm") is None
    assert health.retry_after_seconds("chromium", "wasm") == 0.0


def test_a_degraded_platform_leaves_the_other_platforms_of_its_engine_alone() -> None:
    watched = Watched()
    watched.fail(3, platform="webgpu")
    problem = watched.health.problem("chromium", "webgpu")
    assert problem == "chromium failed 3 times in a row (it crashed); tried again in 5 s"
    assert watched.health.problem("chromium", "wasm") == ""
    assert watched.health.problem("firefox", "webgpu") == ""


def test_a_degraded_engine_takes_all_its_platforms_with_it() -> None:
    watched = Watched()
    watched.fail(3)
    assert watched.health.problem("chromium", "wasm")
    assert watched.health.problem("chromium", "webgpu")
    assert watched.health.problem("chromium", "")
    assert not watched.health.problem("firefox", "wasm")


def test_it_may_be_tried_again_after_the_pause_but_is_degraded_until_it_works() -> None:
    watched = Watched()
    watched.fail(3, platform="webgpu")
    watched.now += 5
    assert watched.health.problem("chromium", "webgpu") == ""
    assert watched.health.worst("chromium", "webgpu") is not None
    watched.health.note_success("chromium", "webgpu")
    assert watched.health.worst("chromium", "webgpu") is None


def test_the_longer_of_two_pauses_counts() -> None:
    watched = Watched()
    watched.fail(5, platform="webgpu")  # 20 s
    watched.fail(3)  # 5 s
    assert watched.health.retry_after_seconds("chromium", "webgpu") == 20.0
    assert watched.health.retry_after_seconds("chromium", "wasm") == 5.0
    watched.now += 21
    assert watched.health.retry_after_seconds("chromium", "webgpu") == 0.0


def test_a_run_on_a_platform_is_also_a_success_of_its_engine() -> None:
    watched = Watched()
    watched.fail(2)
    watched.health.note_success("chromium", "wasm")
    watched.fail(2)
    assert watched.health.worst("chromium", "wasm") is None


def test_a_success_on_one_platform_says_nothing_of_another() -> None:
    watched = Watched()
    watched.fail(3, platform="webgpu")
    watched.health.note_success("chromium", "wasm")
    assert watched.health.worst("chromium", "webgpu") is not None


def test_going_out_of_service_and_coming_back_are_told_once_each() -> None:
    watched = Watched()
    watched.fail(5, platform="webgpu")
    assert watched.told == ["webgpu in chromium is degraded: it crashed"]
    watched.health.note_success("chromium", "webgpu")
    watched.health.note_success("chromium", "webgpu")
    assert watched.told[1:] == ["webgpu in chromium works again"]


def test_failures_that_open_nothing_are_not_told() -> None:
    watched = Watched()
    watched.fail(2)
    watched.health.note_success("chromium", "wasm")
    assert watched.told == []
