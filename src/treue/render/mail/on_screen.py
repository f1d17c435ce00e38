"""A mail as a browser shows it here: with its pictures in it, and in the colour scheme asked for."""

from __future__ import annotations

import base64
import html
import re
from typing import Literal

from treue.render.templates.renderer import Rendered

Scheme = Literal["light", "dark"]
_ASKED = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(dark|light)\s*\)", re.IGNORECASE)
_KNOWS_DARK = re.compile(r"color-scheme[^;>]*\bdark\b", re.IGNORECASE)
_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)
_HEAD_END = re.compile(r"</head>", re.IGNORECASE)


def self_contained(rendered: Rendered) -> str:
    """Return the HTML with each hosted or attached picture as a `data:` address, so that nothing has to be loaded."""
    page = rendered.html
    for address, picture in rendered.pictures:
        data = f"data:{picture.media_type};base64,{base64.b64encode(picture.content).decode()}"
        page = page.replace(html.escape(address), data).replace(address, data)
    return page


def noted(page: str, note: str) -> str:
    """Return a page with a line of ours above all else."""
    line = f'<p style="margin:0;padding:8px;background:#fff;color:#000;font:14px sans-serif">{html.escape(note)}</p>'
    return _BODY.sub(lambda body: body[0] + line, page, count=1) if _BODY.search(page) else line + page


def in_scheme(page: str, scheme: Scheme) -> str:
    """Return a page as readers with this colour scheme see it, whatever the browser's own is.

    `@media (prefers-color-scheme: …)` holds or not by what it asks for; a page that says it knows dark mode gets the
    browser's colours for it, too.
    """
    page = _ASKED.sub(
        lambda asked: "(min-width: 0)" if asked[1].lower() == scheme else "(max-width: 0)", page
    )
    own = scheme if _KNOWS_DARK.search(page) else "light"
    style = f"<style>:root {{ color-scheme: {own} !important; }}</style>"
    return (
        _HEAD_END.sub(lambda end: style + end[0], page, count=1) if _HEAD_END.search(page) else style + page
    )
