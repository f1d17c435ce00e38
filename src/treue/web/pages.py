"""HTML pages: everything escaped, the style inside, nothing loaded from anywhere, no script but on the sign-in page."""

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

from treue.insight.health import age


def page(template: str, status: int = 200, *, script: str = "", **values: Any) -> HTMLResponse:
    """Return a page made of a template, with a policy that allows its own style and its own forms only.

    `script` names a file beside the template that it puts into the page, the only script that then runs there.
    """
    pages, policy = _pages()
    if script:
        code = _source(pages, script)
        policy += f"; script-src {_hashed(code)}"
        values["script"] = Markup(code)  # noqa: S704 - our own file
    return HTMLResponse(
        pages.get_template(template).render(values), status, headers={"Content-Security-Policy": policy}
    )


def local_time(moment: datetime | None, zone: str) -> str:
    """Return an instant as the workspace's clock shows it, to the second."""
    return f"{moment.astimezone(ZoneInfo(zone)):%d %b %Y, %H:%M:%S}" if moment else ""


def listed_counts(counts: Mapping[str, int]) -> str:
    """Return counts in one line, as in `12 email, 3 sms`."""
    return ", ".join(f"{n:,} {name}" for name, n in sorted(counts.items()))


@cache
def _pages() -> tuple[Environment, str]:
    loader = PackageLoader("treue.web")
    pages = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = _source(pages, "style.css")
    pages.globals["style"] = Markup(style)  # noqa: S704 - our own file
    pages.filters["time"] = local_time
    pages.filters["age"] = lambda then, now: age(now, then)
    pages.filters["listed_counts"] = listed_counts
    policy = (
        f"default-src 'none'; style-src {_hashed(style)}; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    )
    return pages, policy


def _source(pages: Environment, name: str) -> str:
    assert pages.loader is not None
    return pages.loader.get_source(pages, name)[0]


def _hashed(text: str) -> str:
    """Return what a policy calls this very text."""
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
