"""A template's messages on one page: the mail on a desktop and a telephone, light and dark, its text, its links.

What is shown was made with customers' data. Everything is escaped, a mail's HTML stands in a frame that may do nothing,
and the page's policy lets nothing be loaded from anywhere, nor any script run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from treue.cli.authoring.preview import facts
from treue.render.mail.on_screen import in_scheme, self_contained
from treue.render.problem import RenderFailure
from treue.render.templates.renderer import Rendered

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""For the page and, inherited, for the mails in it."""


@dataclass(frozen=True)
class Shown:
    """One channel's message, or why there is none, with its sender and recipient."""

    channel: str
    message: Rendered | RenderFailure
    sender: str
    sender_address: str
    to: str


@dataclass(frozen=True)
class Occasion:
    """What the page is about: a template, its recipient, the journey that sends it (or none), and the time zone."""

    template: str
    customer: str
    journey: str
    now: datetime
    zone: str


def page(occasion: Occasion, messages: Sequence[Shown]) -> str:
    """Return the page as HTML."""
    local = occasion.now.astimezone(ZoneInfo(occasion.zone))
    return _environment().get_template("page.html").render(
        occasion=occasion, messages=messages, at=f"{local.day} {local:%B %Y, %H:%M}", clock=f"{local:%H:%M}"
    )  # fmt: skip


def _percent(size: int) -> float:
    """Return how much of what Gmail shows is taken, at most all of it."""
    return min(100.0, 100 * size / facts.CLIPPED)


def _kilobytes(size: int) -> str:
    return f"{size / 1024:.1f} kB"


@cache
def _environment() -> Environment:
    loader = PackageLoader("treue.cli.authoring.preview", "")
    pages = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style, _, _ = loader.get_source(pages, "style.css")
    pages.globals.update(
        style=Markup(style), policy=POLICY, size=facts.size, length=facts.length, links=facts.links,  # noqa: S704 - our own file
        shown=lambda message, scheme: in_scheme(self_contained(message), scheme),
    )  # fmt: skip
    pages.filters.update(percent=_percent, kilobytes=_kilobytes)
    pages.tests["failure"] = lambda message: isinstance(message, RenderFailure)
    return pages
