"""What the documents say is so: every command, key, reason and code appears, and every example loads."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from treue.language.problems import CODES
from treue.model import tables
from treue.model.states import Reason
from treue.vocabulary.reference import reference
from treue.vocabulary.workspace import load

ROOT = Path(__file__).parents[2]
DOCS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"))
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_reference_is_the_one_the_table_makes() -> None:
    assert DOCS["docs/reference.md"] == reference(), (
        "run `python -m treue.vocabulary.reference > docs/reference.md`"
    )


def test_every_code_and_every_reason_is_in_the_reference() -> None:
    missing = [
        word
        for word in (*CODES, *(reason.value for reason in Reason))
        if word not in DOCS["docs/reference.md"]
    ]
    assert missing == []


def test_the_list_of_tables_names_every_table_once_and_no_other() -> None:
    assert tables.__doc__
    listed = re.findall(r"\w+", " ".join(re.findall(r"\(([^)]*)\)", tables.__doc__)))
    assert sorted(listed) == sorted([*tables.metadata.tables, *tables.scratch.tables])


def test_every_verb_is_in_the_operators_page_or_the_readme() -> None:
    from treue.cli.app import VERBS

    text = DOCS["README.md"] + DOCS["docs/operations.md"]
    assert [verb for verb in VERBS if f"treue {verb}" not in text] == []


def _examples() -> list[tuple[str, str]]:
    """Return (kind, text) of every YAML example in the documents that is a whole file."""
    found = []
    for name in ("README.md", "docs/language.md", "docs/recipes.md"):
        for language, text in FENCE.findall(DOCS[name]):
            if language == "yaml":
                found.append((name, text))
    return found


@pytest.mark.parametrize(("name", "text"), _examples(), ids=lambda value: value[:20])
def test_every_example_of_a_file_loads(name: str, text: str, tmp_path: Path) -> None:
    for folder in ("journeys", "segments", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "treue.yaml", tmp_path)
    if text.startswith("# treue.yaml"):
        settings = (tmp_path / "treue.yaml").read_text(encoding="utf-8")
        rest = re.sub(r"(?ms)^(limits|quiet_hours):.*?(?=^[^\s#]|\Z)", "", settings)
        (tmp_path / "treue.yaml").write_text(rest + text, encoding="utf-8")
        loaded = load(tmp_path)
        assert [problem.message for problem in loaded.problems] == []
        assert loaded.settings.pressure
        return
    if "call:" in text:
        with (tmp_path / "treue.yaml").open("a", encoding="utf-8") as settings_file:
            settings_file.write("calls: {hosts: [crm.klangladen.example]}\n")
    if "trial_ends" in text:
        declared = (tmp_path / "treue.yaml").read_text(encoding="utf-8")
        declared = declared.replace("  birthday: date\n", "  birthday: date\n  trial_ends: date\n")
        (tmp_path / "treue.yaml").write_text(declared, encoding="utf-8")
    kind = "journeys" if "steps:" in text else "segments"
    (tmp_path / kind / "example-from-the-docs.yaml").write_text(text, encoding="utf-8")
    workspace = load(tmp_path)
    assert [problem.message for problem in workspace.problems] == []
    assert "example-from-the-docs" in getattr(workspace, kind)


def test_the_template_in_the_language_page_renders(tmp_path: Path) -> None:
    from treue.render.templates.check import check_template
    from treue.render.templates.names import NameSchema
    from treue.render.templates.renderer import Renderer

    text = next(text for language, text in FENCE.findall(DOCS["docs/language.md"]) if "subject:" in text)
    (tmp_path / "example").mkdir()
    shutil.copytree(ROOT / "templates" / "_layout", tmp_path / "_layout")
    (tmp_path / "example" / "email.mjml").write_text(text, encoding="utf-8")
    settings = load(ROOT).settings
    renderer = Renderer(
        tmp_path, locale="de", schema=NameSchema(settings.schema.attributes, settings.schema.events)
    )
    orders = {"order.placed": settings.schema.events["order.placed"]}
    wrong = [
        problem for problem in check_template(renderer, "example", events=orders) if problem.code != "T405"
    ]
    assert wrong == []


def test_links_between_documents_lead_somewhere() -> None:
    for name, text in DOCS.items():
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert ((ROOT / name).parent / target).exists(), f"{name} links to {target}"


def test_no_document_or_source_names_a_path_of_one_machine() -> None:
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    private = re.compile(r"/(?:work|root|home)/[a-z]")
    named = [
        name
        for name in files
        if name.endswith((".md", ".py", ".toml", ".yaml", "Makefile", "run"))
        and private.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))
    ]
    assert named == [], "these name a folder that only one machine has"
