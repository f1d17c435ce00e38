"""init, check, schema, compile, graph, preview: what authors call before anything runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.calling import Run


def names(root: Path, pattern: str) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.glob(pattern)}


# --- init -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "journey", ["welcome", "onboarding", "birthday", "abandoned-cart", "cross-sell", "up-sell", "win-back"]
)
def test_a_new_workspace_of_any_journey_passes_check(treue: Run, tmp_path: Path, journey: str) -> None:
    assert treue(None, "init", tmp_path / "new", "--journey", journey).code == 0
    done = treue(tmp_path / "new", "check", "--json")
    assert (done.code, done.json["problems"]) == (0, [])


def test_a_new_workspace_has_exactly_what_its_journey_refers_to(treue: Run, tmp_path: Path) -> None:
    root = tmp_path / "new"
    treue(None, "init", root)
    assert names(root, "journeys/*") == {"journeys/welcome.yaml", "journeys/welcome.test.yaml"}
    assert names(root, "segments/*") == {"segments/regulars.yaml"}
    assert names(root, "templates/*") == {
        "templates/_layout", "templates/welcome", "templates/welcome-all-well", "templates/welcome-listening",
        "templates/welcome-suggestion",
    }  # fmt: skip
    settings = (root / "treue.yaml").read_text(encoding="utf-8")
    assert "workspace: new" in settings
    assert "order.placed:" in settings
    assert "cart.abandoned" not in settings
    assert "lifecycle" not in settings
    assert ".treue/" in (root / ".gitignore").read_text()
    assert json.loads((root / "treue.schema.json").read_text())["title"] == "Treue"


def test_init_takes_segments_that_segments_refer_to(treue: Run, tmp_path: Path) -> None:
    treue(None, "init", tmp_path / "new", "--journey", "up-sell")
    assert {"segments/around-the-corner.yaml", "segments/german-speaking.yaml"} <= names(
        tmp_path / "new", "segments/*"
    )


def test_init_takes_several_journeys(treue: Run, tmp_path: Path) -> None:
    treue(None, "init", tmp_path / "new", "--journey", "welcome", "--journey", "win-back")
    assert names(tmp_path / "new", "journeys/*") == {
        f"journeys/{name}"
        for name in ("welcome.yaml", "welcome.test.yaml", "win-back.yaml", "win-back.test.yaml")
    }
    assert treue(tmp_path / "new", "check").code == 0


def test_init_overwrites_nothing(treue: Run, tmp_path: Path) -> None:
    (tmp_path / "treue.yaml").write_text("mine")
    done = treue(None, "init", tmp_path)
    assert done.code == 2
    assert "is there already" in done.err
    assert names(tmp_path, "*") == {"treue.yaml"}
    assert (tmp_path / "treue.yaml").read_text() == "mine"


def test_init_knows_no_other_journeys_than_those_of_the_reference(treue: Run, tmp_path: Path) -> None:
    done = treue(None, "init", tmp_path / "new", "--journey", "welcom")
    assert done.code == 2
    assert "Did you mean `welcome`?" in done.err
    assert not (tmp_path / "new").exists()


# --- check ------------------------------------------------------------------------------------------------


def test_the_reference_workspace_has_no_problems(treue: Run, reference: Path) -> None:
    done = treue(reference, "check")
    assert done.code == 0
    assert "7 journeys, 8 segments, 17 templates: no problems." in done.out


def spoil(path: Path, before: str, after: str) -> int:
    """Replace a text in a file and return the line it is in."""
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    return text[: text.index(before)].count("\n") + 1


def test_check_shows_problems_of_files_and_templates_at_once_with_their_places(
    treue: Run, files: Path
) -> None:
    journey = spoil(files / "journeys/welcome.yaml", "send: welcome-all-well", "send: welcome-all-wel")
    template = spoil(
        files / "templates/win-back-letter/email.mjml",
        "{{ customer.first_name }}",
        "{{ customer.frist_name }}",
    )
    done = treue(files, "check", "--json")
    assert done.code == 1
    found = {(one["file"], one["line"], one["code"]) for one in done.json["problems"]}
    assert ("journeys/welcome.yaml", journey, "T302") in found
    assert ("templates/win-back-letter/email.mjml", template, "T403") in found
    unknown = next(one for one in done.json["problems"] if one["code"] == "T302")
    assert set(unknown) == {"file", "line", "column", "code", "message", "suggestion"}
    assert "welcome-all-well" in unknown["suggestion"]


def test_settings_that_cannot_be_read_are_the_only_problem_of_a_sound_workspace(
    treue: Run, files: Path
) -> None:
    line = spoil(files / "treue.yaml", "  - {at_most: 3, per: 7d}\n", "  at_most: 3\n")
    done = treue(files, "check", "--json")
    assert done.code == 1
    assert [(one["file"], one["line"]) for one in done.json["problems"]] == [("treue.yaml", line + 1)]


def test_check_frames_the_line_and_says_what_was_meant(treue: Run, files: Path) -> None:
    line = spoil(files / "segments/dormant.yaml", "order.placed", "order.plaxed")
    done = treue(files, "check")
    head, source, caret, *_ = done.out.splitlines()
    assert re.match(rf"segments/dormant\.yaml:{line}:\d+ T303 ", head)
    assert "order.plaxed" in source
    assert caret.index("^") == source.index("order.plaxed")
    assert "Did you mean `order.placed`?" in done.out
    assert re.fullmatch(r"\d+ problems? in \d+ files?\.", done.out.splitlines()[-1])


def test_check_of_one_file_reports_only_that_file(treue: Run, files: Path) -> None:
    spoil(files / "segments/dormant.yaml", "order.placed", "order.plaxed")
    spoil(files / "templates/welcome/email.mjml", "{{ customer.first_name }}", "{{ customer.frist_name }}")
    assert treue(files, "check", "journeys/onboarding.yaml").code == 0
    done = treue(files, "check", "templates/welcome", "--json")
    assert {one["file"] for one in done.json["problems"]} == {"templates/welcome/email.mjml"}


def test_check_of_a_file_that_is_not_there_is_wrong_usage(treue: Run, files: Path) -> None:
    done = treue(files, "check", "journeys/nope.yaml")
    assert done.code == 2
    assert "journeys/nope.yaml" in done.err


def test_a_property_the_starting_event_lacks_is_found_though_another_event_has_it(
    treue: Run, files: Path
) -> None:
    path = files / "templates/welcome/email.mjml"
    line = spoil(path, "{{ event.order_id }}", "{{ event.category }}")
    found = treue(files, "check", "--json").json["problems"]
    assert {one["code"] for one in found} == {"T403"}
    assert ("templates/welcome/email.mjml", line) in {(one["file"], one["line"]) for one in found}


def test_a_warning_is_shown_and_lets_check_pass(treue: Run, files: Path) -> None:
    path = files / "templates/welcome/email.mjml"
    guarded = "{% if customer.first_name %}, {{ customer.first_name }}{% endif %}"
    spoil(path, guarded, ", {{ customer.first_name }}")
    done = treue(files, "check", "--json")
    assert {one["code"] for one in done.json["problems"]} == {"T405"}
    assert done.code == 0
    assert "1 warning" in treue(files, "check").out


def test_an_adapter_nobody_installed_is_a_problem(treue: Run, files: Path) -> None:
    spoil(files / "treue.yaml", "adapter: smtp", "adapter: smpt")
    done = treue(files, "check", "--json")
    assert [one["code"] for one in done.json["problems"]] == ["T313"]


def test_an_adapter_that_does_not_fit_its_channel_is_a_problem_before_anything_starts(
    treue: Run, files: Path
) -> None:
    spoil(files / "treue.yaml", "sms: {adapter: inbox}", "sms: {adapter: postmark}")
    spoil(files / "treue.yaml", "push: {adapter: inbox}", "push: {adapter: fcm, projekt: shop}")
    done = treue(files, "check")
    assert done.code == 1
    assert "treue.yaml:15:18 T318 The adapter `postmark` is for `email`, not for `sms`." in done.out
    assert "For `sms` there are" in done.out
    assert "treue.yaml:16:19 T319 The adapter `fcm` needs `credentials`." in done.out
    assert 'Write `credentials: "${FCM_CREDENTIALS}"` beside it.' in done.out
    assert "treue.yaml:16:24 T320 The adapter `fcm` knows no `projekt`." in done.out
    assert "Did you mean `project`?" in done.out


def test_other_verbs_show_the_problems_and_do_nothing(treue: Run, files: Path) -> None:
    spoil(files / "segments/dormant.yaml", "order.placed", "order.plaxed")
    done = treue(files, "segment", "dormant")
    assert (done.code, done.out) == (1, "")
    assert "segments/dormant.yaml" in done.err


# --- schema, compile --------------------------------------------------------------------------------------


def test_a_template_that_is_a_bomb_is_a_problem_of_its_own_and_nothing_starts(
    treue: Run, files: Path
) -> None:
    shared = "".join(f"{{% set {n}{i} = [{n}{i - 1}, {n}{i - 1}] %}}" for n in "az" for i in range(1, 46))
    bomb = f"{{% set a0 = [1, 1] %}}{{% set z0 = [1, 1] %}}{shared}{{% if a45 == z45 %}}y{{% endif %}}x"
    (files / "templates" / "bomb").mkdir()
    (files / "templates" / "bomb" / "sms.txt").write_text(f"Hello\n{bomb}", encoding="utf-8")
    done = treue(files, "check", "--json")
    wrong = [one for one in done.json["problems"] if one["code"] == "T404"]
    assert (done.code, [(one["file"], one["line"]) for one in wrong]) == (1, [("templates/bomb/sms.txt", 2)])
    assert "too much work" in wrong[0]["message"]
    for verb in (["plan"], ["run"]):
        done = treue(files, *verb)
        assert done.code != 0
        assert "templates/bomb/sms.txt:2:" in done.err


def test_schema_writes_what_it_prints(treue: Run, files: Path) -> None:
    assert treue(files, "schema").code == 0
    assert json.loads((files / "treue.schema.json").read_text()) == treue(files, "schema", "--print").json


def test_compile_tells_stages_tasks_and_sql_without_a_database(treue: Run, files: Path) -> None:
    found = treue(files, "compile", "welcome", "--json").json
    assert found["format"] == 1
    assert re.fullmatch(r"[0-9a-f]{16}", found["hash"])
    assert found["tasks"] == [
        "enter", "thank-you", "steps.1", "care-tips", "steps.3", "interest", "suggestion", "all-well", "deliver",
    ]  # fmt: skip
    choose = next(stage for stage in found["stages"] if stage["id"] == "interest")
    assert [lead["to"] for lead in choose["leads_to"]] == ["suggestion", "all-well"]
    assert "message welcome of this stay was clicked" in choose["leads_to"][0]["label"]
    assert found["holdout"] == 0.05
    assert not (files / "treue.db").exists()


@pytest.mark.parametrize(
    ("address", "word"),
    [("sqlite:///x.db", "json_object("), ("postgresql://nowhere/x", "jsonb_build_object(")],
)
def test_compile_shows_the_sql_of_the_workspace_s_own_database(
    treue: Run, files: Path, monkeypatch: pytest.MonkeyPatch, address: str, word: str
) -> None:
    monkeypatch.setenv("TREUE_DATABASE", address)
    sql = treue(files, "compile", "up-sell").out
    assert word in sql
    assert "'up-sell-evening'" in sql


def test_shown_sql_is_what_the_database_understands(treue: Run, lived: Path) -> None:
    from treue.store.store import Store

    found = treue(lived, "compile", "welcome", "--json").json
    given = dict.fromkeys(
        ("now", "due_by", "this_step", "until", "first_place", "running", "stuck", "ahead"), 0
    )
    store = Store.open(f"sqlite:///{lived / 'treue.db'}")
    with store.transaction() as connection:
        for stage in found["stages"]:
            for statement in stage["sql"]:
                connection.exec_driver_sql("EXPLAIN " + statement["sql"], {**given, "this_turn": 1})
    store.close()


def test_an_unknown_journey_is_answered_with_the_nearest(treue: Run, files: Path) -> None:
    done = treue(files, "compile", "welcom")
    assert done.code == 2
    assert "There is no journey `welcom`. Did you mean `welcome`?" in done.err


# --- graph ------------------------------------------------------------------------------------------------


def test_a_graph_shows_trigger_goal_exit_holdout_and_conditions_in_words(treue: Run, files: Path) -> None:
    text = treue(files, "graph", "win-back", "--mermaid").out
    assert text.startswith("flowchart TD")
    for part in (
        "joins segment dormant",
        "order.placed within 60d",
        "consent.withdrawn",
        "20% walk",
        "none of these",
    ):
        assert part in text
    assert "was clicked within" in text.replace("<br/>", " ")


def test_the_drawing_is_svg_with_every_step_and_colours_for_dark_screens(treue: Run, files: Path) -> None:
    files.joinpath("out.svg").unlink(missing_ok=True)
    assert treue(files, "graph", "welcome", "--out", files / "out.svg").code == 0
    text = files.joinpath("out.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    shown = {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {
        "thank-you",
        "care-tips",
        "interest",
        "suggestion",
        "all-well",
        "goal",
        "exit",
        "holdout",
    } <= shown
    assert "prefers-color-scheme: dark" in text


def test_a_graph_counts_those_who_are_there_where_a_database_knows_them(treue: Run, lived: Path) -> None:
    text = treue(lived, "graph", "welcome", "--mermaid").out
    counts = treue(lived, "status", "--json").json["journeys"]["welcome"]
    assert f"{counts['entered']} entered" in text
    assert f"{counts['inside']} here" in text
    assert f"{counts['converted']} converted" in text
    assert f'n0 -->|"{counts["entered"] - counts["held_out"]}"| n1' in text


# --- preview ----------------------------------------------------------------------------------------------


def test_a_preview_for_a_made_up_customer_needs_no_database(treue: Run, files: Path) -> None:
    found = treue(files, "preview", "welcome", "--json").json
    assert found["subject"].startswith("Danke, Ada")
    assert "<html" in found["html"]
    assert 0 < found["size"] < 102 * 1024
    assert found["clipped"] is False
    assert any(address.startswith("https://klangladen.example/") for address in found["links"])
    assert not (files / "treue.db").exists()


def test_a_preview_speaks_the_language_asked_for(treue: Run, files: Path) -> None:
    assert (
        treue(files, "preview", "welcome", "--locale", "en", "--json")
        .json["subject"]
        .startswith("Thank you, Ada")
    )


def test_a_preview_for_a_customer_has_their_name_and_their_order(treue: Run, lived: Path) -> None:
    done = treue(lived, "preview", "welcome", "--customer", "c5")
    assert "Jörg" in done.out
    assert "140,50" in done.out


def test_a_preview_writes_a_page_to_look_at(treue: Run, files: Path, tmp_path: Path) -> None:
    done = treue(files, "preview", "onboarding-wishlist", "--out", tmp_path / "mail.html")
    assert done.code == 0
    assert f"page      {tmp_path / 'mail.html'}" in done.out
    page = (tmp_path / "mail.html").read_text(encoding="utf-8")
    assert page.count("<iframe sandbox ") == 4
    for word in ("E-mail", "Push", "SMS", "GSM-7", "of the 102 kB", "Wunschliste anlegen", "ada@example.com"):
        assert word in page


def test_a_preview_leaves_one_page_that_only_its_owner_reads(treue: Run, files: Path) -> None:
    for name in ("welcome", "birthday"):
        assert treue(files, "preview", name).code == 0
    page = files / ".treue" / "preview.html"
    assert page.stat().st_mode & 0o777 == 0o600
    assert "<title>birthday" in page.read_text(encoding="utf-8")


def test_a_preview_for_scripts_writes_a_page_only_where_one_is_asked_for(
    treue: Run, files: Path, tmp_path: Path
) -> None:
    assert "page" not in treue(files, "preview", "welcome", "--json").json
    assert not (files / ".treue" / "preview.html").exists()
    found = treue(files, "preview", "welcome", "--json", "--out", tmp_path / "a.html").json
    assert found["page"] == str(tmp_path / "a.html")
    assert found["attachments"] == []


def test_a_preview_shows_pictures_from_the_disk(treue: Run, files: Path) -> None:
    (files / "templates" / "welcome" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (files / "templates" / "welcome" / "menu.pdf").write_bytes(b"%PDF-1.7")
    mail = files / "templates" / "welcome" / "email.de.mjml"
    text = mail.read_text(encoding="utf-8").replace("---\n", "---\nattach: menu.pdf\n", 1)
    mail.write_text(
        text.replace("<mj-button", '<mj-image src="a.png" alt="" /><mj-button', 1), encoding="utf-8"
    )
    found = treue(files, "preview", "welcome", "--json").json
    assert found["attachments"] == [{"name": "menu.pdf", "media_type": "application/pdf", "size": 8}]
    assert treue(files, "preview", "welcome").code == 0
    page = (files / ".treue" / "preview.html").read_text(encoding="utf-8")
    assert page.count("src=&#34;data:image/png;base64,iVBORw0KGgo=&#34;") == 4
    assert "menu.pdf" in page


def test_a_preview_of_an_sms_counts_its_parts(treue: Run, files: Path) -> None:
    found = treue(files, "preview", "win-back-last", "--channel", "sms", "--json").json
    assert found["sms"]["coding"] == "GSM-7"
    assert found["sms"]["parts"] == -(-found["sms"]["units"] // 153)


def test_a_preview_of_an_sms_names_what_makes_it_dear(treue: Run, files: Path) -> None:
    file = files / "templates" / "win-back-last" / "sms.de.txt"
    file.write_text(
        "„Nur noch heute“ – alles zu halben Preisen bei Klangladen, wenn Sie mögen.\n", encoding="utf-8"
    )
    done = treue(files, "preview", "win-back-last", "--channel", "sms")
    assert "2 parts, 74 units in UCS-2, because of „ “ –; 1 with plain quotes, dashes and blanks" in done.out
    found = treue(files, "preview", "win-back-last", "--channel", "sms", "--json").json["sms"]
    assert found == {"coding": "UCS-2", "units": 74, "parts": 2, "unusual": ["„", "“", "–"], "plain_parts": 1}


def test_a_preview_on_a_channel_the_template_lacks_names_those_it_has(treue: Run, files: Path) -> None:
    done = treue(files, "preview", "welcome", "--channel", "sms")
    assert done.code == 2
    assert "it has email" in done.err


# --- check --fix ------------------------------------------------------------------------------------------


def test_check_puts_right_what_is_safe_and_says_so(treue: Run, files: Path) -> None:
    file = files / "journeys" / "welcome.yaml"
    right = file.read_text(encoding="utf-8")
    file.write_text(right.replace("category:", "categry:"), encoding="utf-8")
    assert treue(files, "check").code == 1
    done = treue(files, "check", "--fix")
    assert done.code == 0
    assert "T201: `categry` is now `category`" in done.err
    assert file.read_text(encoding="utf-8") == right
