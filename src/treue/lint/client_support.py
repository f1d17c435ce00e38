"""Rules about what mail clients can show, and how much of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from treue.language.problems import Place, Problem
from treue.lint.clients import Feature, features
from treue.lint.mail_files import MailFile
from treue.lint.rule import LintInput, Rule

if TYPE_CHECKING:
    from treue.lint.data import Data

CLIPPED = 102 * 1024
"""Bytes of HTML after which Gmail cuts a mail off behind a link, the way to unsubscribe included."""
NEARLY = 90 * 1024
"""Bytes from which on names, orders and links of real customers may bring it there."""
WORTH = 2
"""Clients that must fail before it is said; one is enough for a picture, which is not there at all then."""
_PARTS = {
    "pictures inside (`data:`)": ("", re.compile(r"data:image/[^\"')]*")),
    "styles in elements": ("", re.compile(r"\sstyle=\"[^\"]*\"")),
    "style sheets": ("</style>", re.compile(r"<style.*?</style>", re.DOTALL)),
    "what only Outlook reads": ("<![endif]-->", re.compile(r"<!--\[if.*?<!\[endif\]-->", re.DOTALL)),
    "addresses of links": ("", re.compile(r"\shref=\"[^\"]*\"")),
}
"""What makes a mail heavy: how it ends, where it is looked for only as far as there is an end, and how it is written."""


class NotShown(Rule):
    """HTML or CSS that mail clients cannot show.

    By the data of caniemail.com for Gmail (web, Android, iOS), Outlook for Windows and Outlook.com, Apple Mail (macOS,
    iOS), Samsung Email, GMX (web, Android), WEB.DE and Orange. Said where at least two of them fail, or one that leaves out a
    picture, and where the mail is less without it: columns that fall apart, text that has no colour, a form nobody can fill
    in. What merely decorates (rounded corners, shadows, gradients, web fonts, `:hover`) falls away quietly and is not
    mentioned, nor is what stands inside `@media` or `@supports`, nor what the MJML compiler writes.
    """

    code = "T601"
    wrong = '<mj-section><mj-column><mj-text><p style="display: flex">Hello</p></mj-text></mj-column></mj-section>'
    right = '<mj-section><mj-column><mj-text><p style="border-radius: 4px">Hello</p></mj-text></mj-column></mj-section>'

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each feature of each file once, where it stands first."""
        for file in files.mail_files:
            for feature in features():
                places = sorted(set(_places(file, feature)))
                if places and len(feature.fails) >= (1 if feature.kind == "picture" else WORTH):
                    yield self._problem(file, feature, places)

    def _problem(self, file: MailFile, feature: Feature, places: list[tuple[int, str]]) -> Problem:
        at, said = places[0]
        more = (
            f", here and in {len(places) - 1} more places"
            if len(places) > 2
            else ", here and once more"
            if len(places) > 1
            else ""
        )
        message = f"{len(feature.fails)} of {feature.known} mail clients do not show `{said}`{more}: {_listed(feature.fails)}."
        return Problem(file.place(at, len(said)), self.code, message, f"See {feature.page}")


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _places(file: MailFile, feature: Feature) -> Iterator[tuple[int, str]]:
    """Yield where a feature is written, and how."""
    if feature.kind == "element":
        yield from ((one.at, f"<{one.name}>") for one in file.elements if feature.written.fullmatch(one.name))
    elif feature.kind == "attribute":
        for one in file.elements:
            yield from ((one.at, name) for name in one.attributes if feature.written.fullmatch(name))
    elif feature.kind == "picture":
        yield from _pictures(file, feature)
    else:
        yield from _in_css(file.css, 0, feature)
        for one in file.elements:
            if "style" in one.attributes:
                begin = one.attribute("style")
                yield from _in_css(
                    file.shadow[begin : one.at + len(one.tag)].split(_quote(file, begin))[0],
                    begin,
                    feature,
                )


def _quote(file: MailFile, begin: int) -> str:
    return file.shadow[begin - 1] if file.shadow[begin - 1] in "\"'" else ">"


def _in_css(css: str, begin: int, feature: Feature) -> Iterator[tuple[int, str]]:
    for found in feature.written.finditer(css):
        yield begin + found.start("said"), found["said"].rstrip(": ")


def _pictures(file: MailFile, feature: Feature) -> Iterator[tuple[int, str]]:
    for one in file.elements:
        address = one.attributes.get("src", "")
        ending = "data" if address.startswith("data:") else address.partition("?")[0].rpartition(".")[2]
        if one.name in ("img", "mj-image", "mj-carousel-image") and feature.written.fullmatch(ending):
            yield one.attribute("src"), f"{ending}:" if ending == "data" else f".{ending}"


class TooLarge(Rule):
    """More HTML than Gmail shows.

    From 102 kB on Gmail cuts a mail off and hides the rest behind a link, the way to unsubscribe with it; a warning comes
    from 90 kB on. Counted is the HTML as a customer gets it who has everything, and two of whatever there can be several of:
    real lists may be longer. Pictures that are hosted or attached do not count, pictures in `data:` do.
    """

    code = "T602"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each mail that is too large, or nearly."""
        for sample in files.samples:
            html = sample.full.html.encode()
            if len(html) > NEARLY:
                what = "Gmail cuts it off after" if len(html) > CLIPPED else "Gmail cuts mails off after"
                message = f"This mail has {len(html) / 1024:.0f} kB of HTML; {what} 102 kB. Most of it: {_largest(sample.full.html)}."
                yield Problem(
                    Place(sample.message.file, 1, 1),
                    self.code,
                    message,
                    "Take something out, or host its pictures.",
                )


def _largest(html: str) -> str:
    sizes = {}
    for name, (end, pattern) in _PARTS.items():
        closed = html[: html.rfind(end) + len(end)] if end in html else ""
        sizes[name] = sum(len(found.encode()) for found in pattern.findall(closed))
    sizes["text and elements"] = max(0, len(html.encode()) - sum(sizes.values()))
    largest = sorted(sizes.items(), key=lambda one: -one[1])[:3]
    return ", ".join(f"{name} {size / 1024:.0f} kB" for name, size in largest)
