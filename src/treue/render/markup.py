"""MJML and HTML sources to HTML, and HTML to text, with Jinja's tags masked all the way.

Block tags between elements become comments, which MJML and HTML parsers keep where they stand (an opaque word
between table rows would be moved out of the table); everything else becomes an opaque word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from treue.render.problem import TemplateProblem, nearest
from treue.render.tags import Mask, Piece, Tag, shadow

_OUTLOOK = re.compile(r"<!--(?:\[if|<!|>)", re.IGNORECASE)
_MSO = re.compile(r"<!--\[if[^\]]*\]>(?!<!-->).*?<!\[endif\]-->", re.DOTALL | re.IGNORECASE)
_RAW = ("style", "script", "title", "textarea", "mj-style", "mj-title", "mj-preview")
_ENTER = re.compile(r"<!--|<(/?)([a-zA-Z][\w:-]*)|<[!?]")
_LEAVE_TAG = re.compile(r"[\"'>]")
_URL = re.compile(
    r"(?<![\w-])(href|src|action|formaction|background|poster|xlink:href)(\s*=\s*)\"([^\"]*)\"", re.IGNORECASE
)
_SAFE_START = re.compile(r"\s*(?:https?://|mailto:|tel:|sms:|#)", re.IGNORECASE)
_SHEET = re.compile(r"<(style|mj-style)\b[^<>]*>")
_PICTURE = re.compile(r"<img\b(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>", re.IGNORECASE)
_ALT = re.compile(r"\balt\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_UNSEEN = re.compile(
    r"\bstyle=\"[^\"]*(?:max-height:\s*0|opacity:\s*0|visibility:\s*hidden)(?![.\d])[^\"]*\"", re.IGNORECASE
)
_UNSAFE = re.compile(
    r"<script\b|(?<=\s)on[a-z]+\s*=\s*[\"']|=\s*[\"']?\s*(?:javascript|vbscript|data\s*:\s*text)\s*:?",
    re.IGNORECASE,
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


@dataclass
class _Place:
    """Where in the markup the next tag stands: text, inside an element's tag, a comment, or raw text."""

    state: str = "text"
    quote: str = ""
    element: str = ""

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            at = getattr(self, f"_{self.state}")(text, at)

    def _text(self, text: str, at: int) -> int:
        found = _ENTER.search(text, at)
        if not found:
            return len(text)
        self.state = "comment" if found[0] == "<!--" else "tag"
        self.element = "" if found[1] else (found[2] or "").lower()
        return found.end()

    def _tag(self, text: str, at: int) -> int:
        if self.quote:
            end = text.find(self.quote, at)
            self.quote = self.quote if end < 0 else ""
            return len(text) if end < 0 else end + 1
        found = _LEAVE_TAG.search(text, at)
        if not found:
            return len(text)
        if found[0] == ">":
            closed = text[found.start() - 1 : found.start()] == "/"
            self.state = "raw" if self.element in _RAW and not closed else "text"
        else:
            self.quote = found[0]
        return found.end()

    def _comment(self, text: str, at: int) -> int:
        return self._until("-->", text, at)

    def _raw(self, text: str, at: int) -> int:
        return self._until(f"</{self.element}", text, at, move=False)

    def _until(self, end: str, text: str, at: int, *, move: bool = True) -> int:
        found = text.lower().find(end, at)
        if found < 0:
            return len(text)
        self.state = "text"
        return found + len(end) if move else found


def mask_markup(pieces: Sequence[Piece], mask: Mask) -> tuple[str, list[TemplateProblem]]:
    """Replace every tag by a token that fits its place; return what is wrong with the places too."""
    place = _Place()
    parts: list[str] = []
    problems: list[TemplateProblem] = []
    for piece in pieces:
        if isinstance(piece, str):
            place.feed(piece)
            parts.append(piece)
            continue
        token = mask.add(piece)
        if place.state == "tag" and not place.quote and not piece.prints:
            problems.append(_inside_tag(piece))
        comment = place.state == "text" and not piece.prints
        parts.append(f"<!--{token}-->" if comment else token)
    return "".join(parts), problems


def _inside_tag(tag: Tag) -> TemplateProblem:
    return TemplateProblem(
        tag.file, tag.line, tag.column, "T401",
        f"{tag.text} stands among the attributes of an element, where the compiler cannot keep it.",
        'Put it around the whole element, or inside the quotes of one attribute: class="{% if … %}…{% endif %}".',
    )  # fmt: skip


def unsafe_markup(source: str, file: str, first_line: int) -> list[TemplateProblem]:
    """Return a problem for each script, event handler and script link in the author's own markup."""
    text = shadow(source)
    return [
        TemplateProblem(
            file,
            *line_column(text, found.start(), first_line),
            "T401",
            f"{found[0].strip()!r} would be active content; no mail program runs it, and filters refuse it.",
            "Take it out.",
        )
        for found in _UNSAFE.finditer(text)
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


def compile_html(masked: str, css: str | None = None) -> str:
    """Move style sheets into `style` attributes, once for each version of a template; with `css`, that one alone.

    Raises ValueError where the HTML or its CSS cannot be read.
    """
    import css_inline

    try:
        inlined: str = css_inline.CSSInliner(
            inline_style_tags=css is None, extra_css=css, keep_style_tags=True, load_remote_stylesheets=False
        ).inline(masked)
    except Exception as error:
        raise ValueError(str(error)) from error
    return inlined


def lost_tags(mask: Mask, before: str, after: str, file: str) -> list[TemplateProblem]:
    """Compare the tags before and after compilation: block tags must all be there, once, and in order."""
    wanted = mask.of(before)
    found = mask.of(after)
    blocks = [tag for tag in wanted if not tag.prints]
    kept = [tag for tag in found if not tag.prints]
    lost = [tag for tag in wanted if tag not in found]
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
        for tag in lost
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
        if tag.word == "if":
            before.append(prefix)
        elif tag.word in ("elif", "else") and before:
            prefix = before[-1]
        elif tag.word == "endif" and before:
            prefix = min(before.pop(), prefix, key=len)
    return "".join([*parts, value[at:]])


def derive_text(html: str, mask: Mask) -> str:
    """Return the text part that says what the (masked) HTML says, with tokens still in it.

    Tables are layout in mail: rows become lines, cells are set side by side, MJML's elements stand apart. Links follow their text in
    brackets, pictures are what their `alt` says, and what nobody sees is left out.
    """
    from inscriptis import get_text
    from inscriptis.css_profiles import CSS_PROFILES
    from inscriptis.model.config import ParserConfig

    styles = CSS_PROFILES["strict"].copy()
    styles["ul"] = styles["ol"] = styles["p"]
    body = mask.comment.sub(r"\1", html)
    body = _MSO.sub(lambda found: _blocks_only(found[0], mask), body)
    body = re.sub(r"<head\b.*?</head>", _Drop(mask), body, count=1, flags=re.DOTALL | re.IGNORECASE)
    body = re.sub(r"<(/?)(?:table|thead|tbody|tfoot|tr)\b[^>]*>", r"<\1div>", body, flags=re.IGNORECASE)
    body = re.sub(r"<td\b[^>]*\bfont-size:\s*0[^>]*>", r"<br><br>\g<0>", body, flags=re.IGNORECASE)
    body = re.sub(r"<(/?)t[dh]\b[^>]*>", r"<\1span> ", body, flags=re.IGNORECASE)
    body = _PICTURE.sub(_alternative, _UNSEEN.sub('style="display:none"', body))
    text = str(get_text(body, ParserConfig(css=styles, display_links=True, display_anchors=False)))
    return tidy(re.sub(r"\[([^\[\]]*)\]\(([^()\s]*)\)", lambda link: _link(link, mask), text))


def _alternative(picture: re.Match[str]) -> str:
    found = _ALT.search(picture[0])
    return (found[1] or found[2] or "") if found else ""


class _Drop:
    """Keep what controls flow from a part of the page that has no text."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask

    def __call__(self, found: re.Match[str]) -> str:
        return _blocks_only(found[0], self._mask)


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
