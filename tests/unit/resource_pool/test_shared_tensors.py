"""The books of shared tensors."""

from __future__ import annotations

import pytest

from corun.errors import TensorExists, TensorLimit, TensorLost, TensorNotFound
from corun.resource_pool.core.shared_tensors import SharedTensor, SharedTensors


def tensor(name: str, *, size_bytes: int = 10, owner: str = "me", lane_id: str = "l1") -> SharedTensor:
    return SharedTensor(name, "uint8", (size_bytes,), size_bytes, "cpu", owner, "c1", lane_id, "a model")


def books(*tensors: SharedTensor, limit_bytes: int = 100) -> SharedTensors:
    made = SharedTensors(limit_bytes=limit_bytes)
    for each in tensors:
        made.claim([each.name], size_bytes=each.size_bytes)
        made.add(each)
    return made


def test_tensors_are_listed_by_name_and_their_bytes_counted() -> None:
    made = books(tensor("b", size_bytes=20), tensor("a"))
    assert [each.name for each in made.all()] == ["a", "b"]
    assert made.total_bytes == 30
    assert made.get("b").size_bytes == 20


@pytest.mark.parametrize("names", [["taken"], ["claimed"], ["new", "new"], ["new", "taken"]])
def test_a_name_is_taken_once_and_a_refused_claim_takes_none(names: list[str]) -> None:
    made = books(tensor("taken"))
    made.claim(["claimed"])
    with pytest.raises(TensorExists):
        made.claim(names)
    made.claim(["new"])


def test_a_claim_that_was_given_up_may_be_made_again_and_what_was_added_stays() -> None:
    made = books()
    made.claim(["a", "b"])
    made.add(tensor("a"))
    made.give_up(["a", "b"])
    made.claim(["b"])
    with pytest.raises(TensorExists):
        made.claim(["a"])


@pytest.mark.parametrize(("size_bytes", "fits"), [(90, True), (91, False)])
def test_no_more_bytes_are_shared_than_the_limit(size_bytes: int, fits: bool) -> None:
    made = books(tensor("a", size_bytes=10), limit_bytes=100)
    if fits:
        made.claim(["b"], size_bytes=size_bytes)
        return
    with pytest.raises(TensorLimit) as caught:
        made.claim(["b"], size_bytes=size_bytes)
    assert "91" in caught.value.message
    assert "10 of 100" in caught.value.message
    made.claim(["b"])  # the name was not taken


def test_what_was_removed_makes_room_and_its_name_is_free() -> None:
    made = books(tensor("a", size_bytes=100))
    made.remove("a")
    assert made.total_bytes == 0
    made.claim(["a"], size_bytes=100)
    with pytest.raises(TensorNotFound) as caught:
        made.get("a")
    assert caught.value.metadata == {"tensor_name": "a"}


def test_a_tensor_whose_lane_is_gone_is_lost_with_the_cause_until_its_name_is_used_again() -> None:
    made = books(tensor("a"), tensor("b", lane_id="l2"))
    made.lose_lane("l1", "the browser crashed")
    assert [each.name for each in made.all()] == ["b"]
    for _ in range(2):
        with pytest.raises(TensorLost) as caught:
            made.get("a")
        assert caught.value.metadata["cause"] == "the browser crashed"
    made.claim(["a"])
    made.add(tensor("a"))
    assert made.get("a").name == "a"


def test_only_so_many_lost_names_are_remembered_the_newest_ones() -> None:
    made = books(*(tensor(f"t{number}", size_bytes=0) for number in range(1001)))
    made.lose_lane("l1", "gone")
    with pytest.raises(TensorNotFound):
        made.get("t0")
    with pytest.raises(TensorLost):
        made.get("t999")


def test_the_tensors_of_an_owner_are_found_together() -> None:
    made = books(tensor("a"), tensor("b", owner="you"), tensor("c"))
    assert [each.name for each in made.of_owner("me")] == ["a", "c"]
    with pytest.raises(TensorNotFound, match="nobody"):
        made.of_owner("nobody")


def test_the_tensors_of_a_lane_are_found_together() -> None:
    made = books(tensor("a"), tensor("b", lane_id="l2"))
    assert [each.name for each in made.in_lane("l2")] == ["b"]
