"""MJML and HTML sources to HTML, and HTML to text, with Jinja's tags masked all the way.

Block tags between elements become comments, which MJML and HTML parsers keep where they stand (an opaque word
between table rows would be moved out of the table); everything else becomes an opaque word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from treue.render.problem import FINDINGS, TemplateProblem, nearest
from treue.render.sandbox import confinement
from treue.render.templates.places import Place, active, refused
from treue.render.templates.tags import Mask, Piece, Tag, shadow

_OUTLOOK = re.compile(r"<!--(?:\[if|<!|>)", re.IGNORECASE)
_MSO = re.compile(r"<!--\[if[^\]>]{0,200}\]>(?!<!-->)", re.IGNORECASE)
_MSO_END = "<![endif]-->"
_ADDRESSES = (
    "href", "xlink:href", "src", "action", "formaction", "background", "poster", "cite", "longdesc", "data", "lowsrc",
    "dynsrc", "ping", "codebase", "manifest", "usemap",
)  # fmt: skip
"""Attributes that are an address as a whole."""
_URL = re.compile(rf"(?<![\w-])({'|'.join(_ADDRESSES)})(\s*=\s*)\"([^\"]*)\"", re.IGNORECASE)
_SAFE_START = re.compile(r"\s*(?:https?://|mailto:|tel:|sms:|#)", re.IGNORECASE)
_SHEET = re.compile(r"<(style|mj-style)\b[^<>]*>")
_PICTURE = re.compile(r"<img\b(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>", re.IGNORECASE)
_ALT = re.compile(r"\balt\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_UNSEEN = re.compile(
    r"\bstyle=\"[^\"]*(?:max-height:\s*0|opacity:\s*0|visibility:\s*hidden)(?![.\d])[^\"]*\"", re.IGNORECASE
)


def without_comments(source: str, *, conditional: bool = False) -> str:
    """Blank the author's own comments, which are nobody else's business, and keep every position.

    Conditional comments for Outlook stay, unless `conditional` says that they go, too.
    """
    parts, kept, at = [], 0, 0
    while (begin := source.find("<!--", at)) >= 0 and (end := source.find("-->", begin + 4)) >= 0:
        at = begin + 4
        if conditional or not _OUTLOOK.match(source, begin):
            at = end + 3
            parts += [source[kept:begin], re.sub(r"[^\n]", " ", source[begin:at])]
            kept = at
    return "".join([*parts, source[kept:]])


def mask_markup(pieces: Sequence[Piece], mask: Mask) -> tuple[str, list[TemplateProblem]]:
    """Replace every tag by a token that fits its place; return what is wrong with the places too."""
    place = Place()
    parts: list[str] = []
    problems: list[TemplateProblem] = []
    for piece in pieces:
        if isinstance(piece, str):
            place.feed(piece)
            parts.append(piece)
            continue
        token = mask.add(piece)
        problems += _misplaced(piece, place)
        if piece.prints:
            place.put()
        comment = place.state == "text" and not place.hidden and not piece.prints
        parts.append(f"<!--{token}-->" if comment else token)
    return "".join(parts), problems[:FINDINGS]


def misplaced(page: str, mask: Mask) -> list[TemplateProblem]:
    """Return a problem for each value that stands in the compiled page where none may: MJML makes CSS of attributes."""
    place, at, problems = Place(), 0, list[TemplateProblem]()
    for found in mask.token.finditer(page):
        place.feed(page[at : found.start()])
        at = found.end()
        tag = mask.tag(found[0])
        if tag.prints:
            problems += _misplaced(tag, place)
            place.put()
    return list(dict.fromkeys(problems))[:FINDINGS]


def _misplaced(tag: Tag, place: Place) -> list[TemplateProblem]:
    said = refused(place, prints=tag.prints)
    if said is None:
        return []
    where, advice = said
    return [TemplateProblem(tag.file, tag.line, tag.column, "T401", f"{tag.text} stands {where}.", advice)]


def unsafe_markup(source: str, file: str, first_line: int) -> list[TemplateProblem]:
    """Return a problem for each script, event handler, page in the page and script link in the author's own markup."""
    text = shadow(source)
    return [
        TemplateProblem(
            file,
            *line_column(text, at, first_line),
            "T401",
            f"{what!r} would be active content; no mail program runs it, and filters refuse it.",
            "Take it out.",
        )
        for at, what in islice(active(text), FINDINGS)
    ]


def line_column(text: str, at: int, first_line: int = 1) -> tuple[int, int]:
    """Return line and column, from 1, of an offset into a text whose first line has the number `first_line`."""
    return text.count("\n", 0, at) + first_line, at - text.rfind("\n", 0, at)


def style_sheets(source: str) -> Iterator[tuple[int, int]]:
    """Yield where the CSS of each `<style>` and `<mj-style>` begins and ends, in time that grows with the source alone."""
    low, at = source.lower(), 0
    while (opening := _SHEET.search(low, at)) and (end := low.find(f"</{opening[1]}", opening.end())) >= 0:
        yield opening.end(), end
        at = end


def lost_tags(mask: Mask, before: str, after: str, file: str) -> list[TemplateProblem]:
    """Compare the tags before and after compilation: block tags must all be there, once, and in order."""
    wanted = mask.of(before)
    found = mask.of(after)
    blocks = [tag for tag in wanted if not tag.prints]
    kept = [tag for tag in found if not tag.prints]
    there = set(found)
    lost = [tag for tag in wanted if tag not in there]
    if not lost and kept != blocks:
        lost = [tag for tag, other in zip(blocks, [*kept, None], strict=False) if tag is not other][:1]
    return [
        TemplateProblem(
            tag.file or file,
            tag.line,
            tag.column,
            "T401",
            f"{tag.text} stands where the compiler drops or moves it.",
            "Put it between two elements, into text, or inside an attribute's quotes.",
        )
        for tag in lost[:FINDINGS]
    ]


def guard_links(html: str, mask: Mask) -> str:
    """Mark every token with which a link's address begins, so that its value must be a web address.

    https, http, mailto and tel are what a value from data may begin with (OWASP, XSS prevention, rule 5).
    """

    def attribute(found: re.Match[str]) -> str:
        return f'{found[1]}{found[2]}"{_guard(found[3], mask)}"'

    return _URL.sub(attribute, html)


def _guard(value: str, mask: Mask) -> str:
    prefix = ""
    before: list[str] = []
    parts: list[str] = []
    at = 0
    for found in mask.token.finditer(value):
        literal = value[at : found.start()]
        prefix += literal
        parts.append(literal)
        at = found.end()
        tag = mask.tag(found[0])
        if tag.prints:
            safe = bool(_SAFE_START.match(prefix))
            parts.append(found[0] if safe else mask.guarded(found[0]))
            prefix += "" if safe else "#"
            continue
        parts.append(found[0])
        if tag.word in ("if", "for"):
            before.append(prefix)
        elif tag.word in ("elif", "else") and before:
            prefix = before[-1]
        elif tag.word in ("endif", "endfor") and before:
            prefix = min(before.pop(), prefix, key=len)
    return "".join([*parts, value[at:]])


def derive_text(html: str, mask: Mask) -> str:
    """Return the text part that says what the (masked) HTML says, with tokens still in it.

    Tables are layout in mail: rows become lines, cells are set side by side, MJML's elements stand apart. Links follow their text in
    brackets, pictures are what their `alt` says, and what nobody sees is left out. Raises Uncompiled and RenderStopped.
    """
    body = mask.comment.sub(r"\1", html)
    body = _without_head(_without_outlook(body, mask), mask)
    body = re.sub(r"<(/?)(?:table|thead|tbody|tfoot|tr)\b[^>]*>", r"<\1div>", body, flags=re.IGNORECASE)
    body = re.sub(r"<td\b[^>]*\bfont-size:\s*0[^>]*>", r"<br><br>\g<0>", body, flags=re.IGNORECASE)
    body = re.sub(r"<(/?)t[dh]\b[^>]*>", r"<\1span> ", body, flags=re.IGNORECASE)
    body = _PICTURE.sub(_alternative, _UNSEEN.sub('style="display:none"', body))
    text = confinement.plain_text(body)
    return tidy(re.sub(r"\[([^\[\]]*)\]\(([^()\s]*)\)", lambda link: _link(link, mask), text))


def _alternative(picture: re.Match[str]) -> str:
    found = _ALT.search(picture[0])
    return (found[1] or found[2] or "") if found else ""


def _without_outlook(body: str, mask: Mask) -> str:
    """Leave out what only Outlook shows, save what controls flow."""
    parts, low, at = [], body.lower(), 0
    while (opening := _MSO.search(body, at)) and (end := low.find(_MSO_END, opening.end())) >= 0:
        end += len(_MSO_END)
        parts += [body[at : opening.start()], _blocks_only(body[opening.start() : end], mask)]
        at = end
    return "".join([*parts, body[at:]])


def _without_head(body: str, mask: Mask) -> str:
    """Leave out the page's head, which has no text, save what controls flow."""
    opening = re.search(r"<head\b", body, re.IGNORECASE)
    closing = re.compile(r"</head>", re.IGNORECASE).search(body, opening.end()) if opening else None
    if not opening or not closing:
        return body
    head = body[opening.start() : closing.end()]
    return body[: opening.start()] + _blocks_only(head, mask) + body[closing.end() :]


def _blocks_only(text: str, mask: Mask) -> str:
    tokens = [found[0] for found in mask.token.finditer(text)]
    return " ".join(token for token in tokens if not mask.tag(token).prints)


def _link(found: re.Match[str], mask: Mask) -> str:
    words, address = found[1].strip(), found[2]
    said = mask.shown(words) == re.sub(r"^(?:mailto|tel):", "", mask.shown(address))
    return (words or address) if said or not words else f"{words} ({address})"


def tidy(text: str) -> str:
    """Return the text without trailing blanks and with at most one empty line in a row."""
    lines = [re.sub(r"[ \t\u00a0\u200b\u200c]+", " ", line).strip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def unknown_word(word: str, known: Sequence[str]) -> str:
    """Return a suggestion for a word that should be one of `known`."""
    return nearest(word, list(known)) or "Known are " + ", ".join(known) + "."
