"""Rules about pictures in mails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from treue.language.problems import Problem
from treue.lint.rule import LintInput, Rule

if TYPE_CHECKING:
    from treue.lint.data import Data

_WIDTH = re.compile(r"(?:^|[;\s])(?:max-)?width\s*:", re.IGNORECASE)


class WithoutDescription(Rule):
    """A picture without an `alt`.

    Most programs do not load pictures before they are asked to; until then `alt` is what there is, and for those who
    listen it is all there ever is. Where a picture only decorates, `alt=""` says so.
    """

    code = "T608"
    wrong = '<mj-section><mj-column><mj-image src="https://shop.example/a.png" /></mj-column></mj-section>'
    right = '<mj-section><mj-column><mj-image src="https://shop.example/a.png" alt="A record" /></mj-column></mj-section>'

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each picture without an `alt`."""
        for file in files.mail_files:
            for one in file.elements:
                if one.name in ("img", "mj-image", "mj-carousel-image") and "alt" not in one.attributes:
                    hint = 'Write `alt="…"`, or `alt=""` where it only decorates.'
                    yield Problem(
                        file.place(one.at, 1 + len(one.name)), self.code, "This picture has no `alt`.", hint
                    )


class WithoutWidth(Rule):
    """An `<img>` without a width.

    Outlook for Windows shows it as large as the file is, so a picture made for sharp screens fills twice its place or
    runs out of the mail. `<mj-image>` has a width by itself.
    """

    code = "T609"
    wrong = '<mj-section><mj-column><mj-text><img src="https://shop.example/a.png" alt="A record"></mj-text></mj-column></mj-section>'
    right = '<mj-section><mj-column><mj-text><img src="https://shop.example/a.png" alt="A record" width="80"></mj-text></mj-column></mj-section>'

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each `<img>` without a width."""
        for file in files.mail_files:
            for one in file.elements:
                given = one.attributes
                if one.name == "img" and "width" not in given and not _WIDTH.search(given.get("style", "")):
                    message = "This picture has no width; Outlook shows it as large as the file is."
                    yield Problem(file.place(one.at, 4), self.code, message, 'Write `width="…"` in pixels.')
