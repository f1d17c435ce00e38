"""`treue plan` and `treue apply`: what is shown is what is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, update

from tests.cli.calling import Run
from treue.model.tables import journey_version
from treue.vocabulary.workspace import load


def _edit(root: Path, *changes: tuple[str, str], name: str = "welcome") -> None:
    path = root / "journeys" / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    path.write_text(text, encoding="utf-8")


RENAMED = ("  - id: care-tips\n", "  - id: listening\n")
LONGER = ("wait: 10d", "wait: 12d")


def test_where_the_files_are_what_runs_there_is_nothing_to_plan_or_to_apply(treue: Run, lived: Path) -> None:
    shown = treue(lived, "plan")
    assert (shown.code, shown.out.splitlines()[0]) == (
        0,
        "The files are what runs; there is nothing to apply.",
    )
    assert treue(lived, "apply").code == 0


def test_a_plan_says_in_words_what_changes_and_who_stands_there(treue: Run, lived: Path) -> None:
    _edit(lived, RENAMED, LONGER, ("holdout: 5%", "holdout: 10%\nmoved: {care-tips: listening}"))
    (lived / "journeys/by-hand.yaml").unlink()
    shown = treue(lived, "plan")
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert lines[0] == "by-hand has no file any more. Nobody enters it from now on; nobody is inside."
    assert "welcome changes; 17 customers are inside and will finish on the version they entered." in lines
    assert "    holdout   5% → 10%" in lines
    assert "  ~ care-tips → listening  has another id: send welcome-listening on email" in lines
    assert "  ~ steps.3  wait 10d → wait 12d" in lines
    assert (
        "      17 customers stand here and will stay on their version; with --migrate they would go on at steps.3."
        in lines
    )
    assert "    -  - wait: 10d" in lines
    assert lines[-1] == "`treue apply` makes it so."


def test_the_document_of_a_plan_has_the_keys_scripts_rely_on(treue: Run, lived: Path) -> None:
    _edit(lived, RENAMED, LONGER)
    [journey] = treue(lived, "plan", "--json").json["journeys"]
    assert (journey["name"], journey["change"], journey["inside"]) == ("welcome", "changed", 17)
    keys = ("id", "change", "inside", "goes_to")
    assert [tuple(step[key] for key in keys) for step in journey["steps"]] == [
        ("listening", "added", 0, None), ("steps.3", "changed", 17, "steps.3"), ("care-tips", "removed", 0, "care-tips"),
    ]  # fmt: skip
    moved = treue(lived, "plan", "--migrate", "--json").json["journeys"][0]["steps"]
    assert [step["goes_to"] for step in moved] == [None, "steps.3", None]


def test_apply_does_what_was_shown_and_then_there_is_nothing_more_to_do(treue: Run, lived: Path) -> None:
    _edit(lived, LONGER)
    treue(lived, "plan", "--migrate")
    done = treue(lived, "apply", "--migrate")
    assert (done.code, done.out) == (0, "welcome runs in its new version. 17 customers went on in it.\n")
    assert treue(lived, "plan", "--json").json["journeys"] == []


def test_apply_refuses_what_was_not_shown(treue: Run, lived: Path) -> None:
    _edit(lived, LONGER)
    treue(lived, "plan")
    _edit(lived, ("wait: 12d", "wait: 14d"))
    refused = treue(lived, "apply", "--yes")
    assert refused.code == 1
    assert refused.err == (
        "treue: The file of welcome is not as it was.\n"
        "Nothing was changed. `treue plan` shows how things stand now.\n"
    )
    assert treue(lived, "apply", "--json").json["refused"] == ["The file of welcome is not as it was."]


def test_off_a_terminal_apply_wants_a_plan_or_yes(
    treue: Run, lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    _edit(lived, LONGER)
    asked = treue(lived, "apply")
    assert (asked.code, asked.out) == (2, "")
    assert "Run `treue plan` first, or give --yes." in asked.err
    assert treue(lived, "apply", "--yes").code == 0


def test_a_misspelt_old_id_is_pointed_out(treue: Run, lived: Path) -> None:
    _edit(lived, RENAMED, ("holdout: 5%", "holdout: 5%\nmoved: {care-tip: listening}"))
    [note] = treue(lived, "plan", "--json").json["notes"]
    assert note.startswith(
        "journeys/welcome.yaml:17:9: no version of welcome here has had a step `care-tip`."
    )
    assert note.endswith("Did you mean `care-tips`?")


def test_files_go_live_by_themselves_only_in_an_empty_database(treue: Run, lived: Path, files: Path) -> None:
    from treue.clock import utc_now
    from treue.composition.assembly import assembled

    with assembled(load(files), deliver=False) as assembly:
        assert assembly.begin(utc_now()) == ()
        assert assembly.look(assembly.files()).nothing
    _edit(lived, LONGER)
    with assembled(load(lived), deliver=False) as assembly:
        assert assembly.begin(utc_now()) == ("welcome",)
        assert not assembly.look(assembly.files()).nothing


def test_a_plan_says_whom_a_new_exit_concerns(treue: Run, lived: Path) -> None:
    _edit(lived, ("exit:\n", "exit:\n  - {attribute: email, exists: true}\n"))
    told = {
        (): "will finish on their version; with --migrate they would leave at their next step",
        ("--migrate",): "will leave at their next step",
    }
    for option, fate in told.items():
        lines = treue(lived, "plan", *option).out.splitlines()
        at = lines.index("    exit      email is known:")
        assert lines[at - 1] == "    exit      new: email is known"
        assert lines[at + 1] == f"              17 of the 17 customers inside meet it already and {fate}."
    [journey] = treue(lived, "plan", "--json").json["journeys"]
    assert journey["exits"] == [
        {"exit": "email is known", "new": True, "inside": 17, "turned_away": 0, "of": 0, "coming": "recent"}
    ]


def test_a_plan_says_whom_of_a_segment_a_new_exit_turns_away(treue: Run, lived: Path) -> None:
    head = "description: A letter.\ncategory: relational\nbasis: consent\n"
    enter = 'enter: {schedule: "0 9 * * MON", segment: everyone}\nexit: [{attribute: email, exists: true}]\n'
    (lived / "segments/everyone.yaml").write_text(
        "description: All.\nwhere: [{attribute: created_at, exists: true}]\n", encoding="utf-8"
    )
    (lived / "journeys/letter.yaml").write_text(f"{head}{enter}steps: [{{wait: 1d}}]\n", encoding="utf-8")
    [exit_] = treue(lived, "plan", "--json").json["journeys"][0]["exits"]
    assert exit_["turned_away"] == exit_["of"] > 0
    told = f"{exit_['of']:,} of the {exit_['of']:,} customers who may come from its segment would be turned away at the door."
    assert f"              {told}" in treue(lived, "plan").out.splitlines()


def test_a_plan_says_that_an_exit_is_asked_at_the_door_which_only_passes_noticed(
    treue: Run, lived: Path
) -> None:
    _edit(lived, ("exit:\n", "exit:\n  - {attribute: email, exists: true}\n"))
    treue(lived, "apply", "--yes", "--migrate")
    engine = create_engine(f"sqlite:///{lived / 'treue.db'}")
    with engine.begin() as connection:
        for row in connection.execute(select(journey_version.c.id, journey_version.c.plan)).all():
            exits = [one | {"asked": False} for one in row.plan["exits"]]
            old = update(journey_version).where(journey_version.c.id == row.id)
            connection.execute(old.values(plan=row.plan | {"exits": exits}, hash=f"old {row.id}"))
    engine.dispose()
    lines = treue(lived, "plan").out.splitlines()
    assert lines[0].startswith("welcome changes;")
    asked = "asked at the door and at each step from now on, not only noticed by passes"
    assert f"    exit      email is known is {asked}:" in lines
    assert not any("means something else now" in line for line in lines)


def test_words_that_change_or_stay_are_told_with_heads(treue: Run, lived: Path) -> None:
    page = lived / "templates" / "welcome-suggestion" / "email.mjml"
    page.write_text(
        page.read_text(encoding="utf-8").replace("</mj-text>", " Yours.</mj-text>", 1), encoding="utf-8"
    )
    shown = treue(lived, "plan")
    assert (
        "  ~ welcome-suggestion  wording only: everybody gets it from now on, 17 customers inside too; no timer moves."
        in shown.out
    )
    assert "wait" not in shown.out.partition("Words")[0]
    [told] = treue(lived, "plan", "--json").json["words"]
    assert told == {
        "template": "welcome-suggestion",
        "journey": "welcome",
        "change": "replaced",
        "inside": 17,
    }
    assert treue(lived, "apply").out == "welcome-suggestion has its new words.\n"
    assert treue(lived, "plan", "--json").json["words"] == []
