"""A step keeps its number over the versions of its journey: nobody is sent it twice, draws stay, reports go on."""

from __future__ import annotations

import pytest

from tests.engine.scene import Scene, plan_of
from treue.plan.alignment import align
from treue.plan.stored import plan_hash

HEAD = "enter: {event: order.placed, again: always}\n"


def _aligned(old: str, new: str, moved: str = "") -> dict[str, str]:
    more = f"moved: {moved}\n" if moved else ""
    return align(
        plan_of("hello", f"{HEAD}steps: [{old}]\n"), plan_of("hello", f"{HEAD}{more}steps: [{new}]\n")
    )


A, B, C = ("{send: a, on: email}", "{send: b, on: email}", "{send: c, on: email}")
DAY, WEEK = "{wait: 1d}", "{wait: 1w}"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([A, DAY, B], [A, DAY, B], {"steps.0": "steps.0", "steps.1": "steps.1", "steps.2": "steps.2"}),
        ([A, DAY, B], [C, A, DAY, B], {"steps.1": "steps.0", "steps.2": "steps.1", "steps.3": "steps.2"}),
        ([A, DAY, B], [DAY, B], {"steps.0": "steps.1", "steps.1": "steps.2"}),
        ([A, DAY, B], [A, WEEK, B], {"steps.0": "steps.0", "steps.1": "steps.1", "steps.2": "steps.2"}),
        ([A, DAY, B], [A, DAY, C], {"steps.0": "steps.0", "steps.1": "steps.1"}),
        (
            [A, DAY, A],
            [A, DAY, B, DAY, A],
            {"steps.0": "steps.0", "steps.1": "steps.1", "steps.4": "steps.2"},
        ),
    ],
)
def test_steps_without_a_name_are_known_by_what_they_do(
    old: list[str], new: list[str], expected: dict[str, str]
) -> None:
    assert _aligned(", ".join(old), ", ".join(new)) == expected


def test_named_steps_are_the_same_wherever_they_stand_and_whatever_they_do() -> None:
    assert _aligned(
        "{id: pause, wait: 1d}, {id: hi, send: a, on: email}",
        "{id: hi, send: b, on: sms}, {id: pause, wait: 2d}",
    ) == {"pause": "pause", "hi": "hi"}


def test_a_name_that_is_gone_is_followed_only_where_moved_says_so() -> None:
    old, new = "{id: pause, wait: 1d}, {wait: 2d}", "{id: rest, wait: 1d}, {id: break, wait: 2d}"
    assert _aligned(old, new) == {"break": "steps.1"}
    assert _aligned(old, new, "{pause: rest}") == {"rest": "pause", "break": "steps.1"}
    assert _aligned(old, new, "{steps.1: rest}") == {"rest": "steps.1"}


def test_steps_within_branches_are_compared_branch_by_branch() -> None:
    split = "{split: {x: {weight: 1, steps: [%s]}, y: {weight: 1, steps: [%s]}}}"
    assert _aligned(split % (A, DAY), f"{C}, {split % (f'{DAY}, {A}', DAY)}") == {
        "steps.1": "steps.0",
        "steps.1.split.x.steps.1": "steps.0.split.x.steps.0",
        "steps.1.split.y.steps.0": "steps.0.split.y.steps.0",
    }
    choose = "{choose: [%s]}"
    german = "{if: {attribute: country, is: DE}, steps: [{send: a, on: email}]}"
    vip = "{if: {attribute: vip, is: true}, steps: [{send: b, on: email}]}"
    assert _aligned(choose % german, choose % f"{vip}, {german}") == {
        "steps.0": "steps.0",
        "steps.0.choose.1.steps.0": "steps.0.choose.0.steps.0",
    }


def test_what_follows_a_wait_for_something_is_compared_way_by_way() -> None:
    wait = "{wait: {for: {event: told}, at_most: 7d, then: [%s], otherwise: [%s]}}"
    assert _aligned(wait % (A, B), f"{C}, {wait % (f'{DAY}, {A}', B)}") == {
        "steps.1": "steps.0",
        "steps.1.wait.then.1": "steps.0.wait.then.0",
        "steps.1.wait.otherwise.0": "steps.0.wait.otherwise.0",
    }


def test_moved_is_no_part_of_what_a_file_means() -> None:
    steps = "steps: [{id: rest, wait: 1d}]\n"
    plain, told = (plan_of("hello", f"{HEAD}{more}{steps}") for more in ("", "moved: {pause: rest}\n"))
    assert plan_hash(plain) == plan_hash(told)


# --- in the store -------------------------------------------------------------------------------------------


def _numbers(scene: Scene) -> dict[str, int]:
    return dict(next(version for version in scene.engine.versions() if version.live).steps)


def _live(scene: Scene, steps: str, moved: str = "") -> dict[str, int]:
    scene.journeys(hello=f"{HEAD}{f'moved: {moved}' if moved else ''}\nsteps: [{steps}]\n")
    return _numbers(scene)


def test_steps_keep_their_numbers_when_one_is_put_before_them(scene: Scene) -> None:
    first = _live(scene, f"{A}, {DAY}, {B}")
    second = _live(scene, f"{C}, {A}, {DAY}, {B}")
    assert [second[f"steps.{n + 1}"] for n in range(3)] == [first[f"steps.{n}"] for n in range(3)]
    assert second["steps.0"] not in first.values()


def test_the_same_meaning_again_is_the_same_version_with_the_same_numbers(scene: Scene) -> None:
    first = _live(scene, f"{A}, {DAY}")
    _live(scene, f"{DAY}, {B}")
    assert _live(scene, f"{A}, {DAY}") == first


def test_a_name_that_was_gone_for_a_version_is_the_same_step_again_unless_another_has_its_number(
    scene: Scene,
) -> None:
    first = _live(scene, "{id: hi, send: a, on: email}, {wait: 1d}")
    _live(scene, "{wait: 1d}")
    assert _live(scene, "{id: hi, send: a, on: email}, {wait: 1d}, {wait: 1w}")["hi"] == first["hi"]
    third = _live(scene, "{id: ho, send: a, on: email}, {wait: 1d}", "{hi: ho}")
    assert third["ho"] == first["hi"]
    assert _live(scene, "{id: ho, send: a, on: email}, {id: hi, send: a, on: email}")["hi"] != first["hi"]


def test_a_split_draws_as_before_when_it_is_renamed_or_a_step_is_put_before_it(scene: Scene) -> None:
    split = "{%s split: {x: {weight: 1, steps: [{send: x, on: email}]}, y: {weight: 1, steps: [{send: y, on: email}]}}}"
    keys = [f"c{n}" for n in range(40)]
    for key in keys:
        scene.customer(key)

    def drawn(steps: str, moved: str = "") -> list[str]:
        _live(scene, steps, moved)
        before = len(scene.sent())
        for key in keys:
            scene.event(key, "order.placed", total=1)
        scene.later(hours=1)
        return sorted(f"{to} {template}" for to, template in scene.sent()[before:] if template in "xy")

    first = drawn(split % "")
    assert {line[-1] for line in first} == {"x", "y"}
    assert drawn(f"{A}, {split % ''}") == first
    assert drawn(f"{A}, {split % 'id: test,'}") == first
    assert drawn(f"{A}, {split % 'id: trial,'}", "{test: trial}") == first


def test_another_split_in_the_place_of_one_draws_by_itself(scene: Scene) -> None:
    split = "{split: {%s: {weight: 1, steps: [%s]}, y: {weight: 1, steps: [{wait: 1d}]}}}"
    _live(scene, split % ("x", A))
    _live(scene, f"{split % ('z', B)}, {split % ('x', A)}")
    live = next(version for version in scene.engine.versions() if version.live)
    names = [live.first_name(stage) for stage in live.plan.stages if stage.kind == "split"]
    assert names == ["steps.0~2", "steps.0"]


def test_the_trail_calls_steps_as_the_customers_version_does(scene: Scene) -> None:
    from treue.insight.why import CustomerInquiry
    from treue.store import customers

    _live(scene, f"{A}, {DAY}, {B}")
    scene.customer("ada")
    scene.event("ada", "order.placed", total=1)
    scene.run()
    _live(scene, f"{C}, {A}, {DAY}, {B}")
    scene.later(days=1)
    assert scene.templates() == ["a", "b"]
    with scene.store.reading() as connection:
        found = customers.find(connection, "ada")
        assert found is not None
        trail = CustomerInquiry(connection, found["id"], "Europe/Berlin", scene.now).trail("hello")
    assert [entry.step for entry in trail if entry.decision == "queued"] == ["steps.0", "steps.2"]
