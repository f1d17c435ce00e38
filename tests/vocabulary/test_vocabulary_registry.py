"""What an installed package brings is found by its entry point, and what cannot be is said with the package's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from treue.errors import TreueError
from treue.vocabulary.registry import Registry

HEAD = "from treue.language.words import Word\nfrom treue.vocabulary.steps.stop.word import ROW, Stop\n"
BROKEN = {
    "import nowhere": (
        "shout brings the word loud, which cannot be loaded (shout:WORD): ModuleNotFoundError: No module named "
        "'nowhere'. Mend or uninstall it."
    ),
    "WORD = 1": "shout brings the word loud, but shout:WORD is no Word. Mend or uninstall it.",
    HEAD + "WORD = Word('step', {'stop': ROW})": (
        "Two installed words have the step's leading key `stop`; uninstall one of them."
    ),
    HEAD + "WORD = Word('step', {'loud': ROW}, (Stop,))": (
        "Two installed words have the step's kind `stop`; uninstall one of them."
    ),
    HEAD + "WORD = Word('step', {'loud': ROW}, expectations={'send': ROW})": (
        "Two installed words have the expectation `send`; uninstall one of them."
    ),
    HEAD + "WORD = Word('step', {'loud': ROW}, acts={'event': ROW})": (
        "Two installed words have the entry of a timeline `event`; uninstall one of them."
    ),
    HEAD + "WORD = Word('step', {'loud': ROW}, decisions={'set': 'wrote'})": (
        "Two installed words have the decision `set`; uninstall one of them."
    ),
}
FINE = HEAD + "WORD = Word('step', {'loud': ROW}, decisions={'shouted': 'was shouted at'})"


def install(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a package `shout` on the path, with what an installer leaves of it."""
    (folder / "shout.py").write_text(code, encoding="utf-8")
    left = folder / "shout-1.0.dist-info"
    left.mkdir()
    (left / "METADATA").write_text("Metadata-Version: 2.1\nName: shout\nVersion: 1.0\n", encoding="utf-8")
    (left / "entry_points.txt").write_text("[treue.words]\nloud = shout:WORD\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(__import__("sys").modules, "shout", raising=False)


@pytest.mark.parametrize("code", BROKEN, ids=lambda code: code.splitlines()[-1])
def test_a_package_that_does_not_fit_is_named(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, code, monkeypatch)
    with pytest.raises(TreueError) as raised:
        _ = Registry().words
    assert str(raised.value) == BROKEN[code]
    assert Registry(packages=False).words


def test_a_package_s_word_is_one_as_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, FINE, monkeypatch)
    words = Registry()
    assert "loud" in words.steps
    assert words.decision("shouted") == "was shouted at"
    assert words.decision("set") == "attributes were written"
    assert words.decision("of a package that is gone") == "of a package that is gone"
    assert "loud" not in Registry(packages=False).steps
