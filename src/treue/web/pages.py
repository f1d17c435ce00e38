"""HTML pages: everything escaped, the style inside, nothing loaded from anywhere, no script at all."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page made of a template, with a policy that allows its own style and its own forms only."""
    pages, policy = _pages()
    return HTMLResponse(
        pages.get_template(template).render(values), status, headers={"Content-Security-Policy": policy}
    )


def local_time(moment: datetime | None, zone: str) -> str:
    """Return an instant as the workspace's clock shows it, to the second."""
    return f"{moment.astimezone(ZoneInfo(zone)):%d %b %Y, %H:%M:%S}" if moment else ""


def length(seconds: float) -> str:
    """Return a length of time roughly, as in `12 s`, `5 min`, `3 h` or `2 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def listed_counts(counts: Mapping[str, int]) -> str:
    """Return counts in one line, as in `12 email, 3 sms`."""
    return ", ".join(f"{n:,} {name}" for name, n in sorted(counts.items()))


@cache
def _pages() -> tuple[Environment, str]:
    loader = PackageLoader("treue.web")
    pages = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style, _, _ = loader.get_source(pages, "style.css")
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    pages.globals["style"] = Markup(style)  # noqa: S704 - our own file
    pages.filters["time"] = local_time
    pages.filters["duration"] = length
    pages.filters["listed_counts"] = listed_counts
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    )
    return pages, policy
