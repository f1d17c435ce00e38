"""Makes `caniemail.json` from the npm package `caniemail` (MIT): what is worth a warning, in the clients that most people have.

    npm pack caniemail && tar xzf caniemail-*.tgz
    python -m treue.lint.clients package/data/caniemail.json > src/treue/lint/clients/caniemail.json

The package is made from caniemail.com by HTeuMeuLeu and contributors, under the same licence, which lies beside the table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CLIENTS = {
    "Gmail": ("gmail", "desktop-webmail"),
    "Gmail on Android": ("gmail", "android"),
    "Gmail on iOS": ("gmail", "ios"),
    "Outlook for Windows": ("outlook", "windows"),
    "Outlook.com": ("outlook", "outlook-com"),
    "Apple Mail": ("apple-mail", "macos"),
    "Apple Mail on iOS": ("apple-mail", "ios"),
    "Samsung Email": ("samsung-email", "android"),
    "GMX": ("gmx", "desktop-webmail"),
    "GMX on Android": ("gmx", "android"),
    "WEB.DE": ("web-de", "desktop-webmail"),
    "Orange": ("orange", "desktop-webmail"),
}
"""The clients that are looked at, by the names that warnings give them. Of T-Online the data say nothing here."""

FEATURES = {
    "css-display-flex": "declaration display: (inline-)?flex", "css-display-grid": "declaration display: (inline-)?grid",
    "css-position": "declaration position: (absolute|fixed|relative|sticky)", "css-float": "property float",
    "css-visibility": "declaration visibility: hidden", "css-object-fit": "property object-fit",
    "css-aspect-ratio": "property aspect-ratio", "css-writing-mode": "property writing-mode",
    "css-margin-inline-block": "property margin-(inline|block)", "css-padding-inline-block": "property padding-(inline|block)",
    "css-margin-inline-start-end": "property margin-inline-(start|end)",
    "css-margin-block-start-end": "property margin-block-(start|end)",
    "css-padding-inline-start-end": "property padding-inline-(start|end)",
    "css-padding-block-start-end": "property padding-block-(start|end)",
    "css-block-inline-size": "property (block|inline)-size", "css-border-inline-block": "property border-(inline|block)",
    "css-function-min": "function min", "css-function-max": "function max", "css-function-clamp": "function clamp",
    "css-unit-calc": "function calc", "css-function-light-dark": "function light-dark", "css-variables": "function var",
    "css-modern-color": "function (ok)?(lch|lab)", "css-rgba": "function rgba",
    "css-intrinsic-size": "declaration [a-z-]+: (fit|min|max)-content",
    "css-unit-rem": "unit rem", "css-unit-ch": "unit ch", "css-unit-vw": "unit vw", "css-unit-vh": "unit vh",
    "css-unit-vmin": "unit vmin", "css-unit-vmax": "unit vmax",
    "css-pseudo-element-before": "pseudo before", "css-pseudo-element-after": "pseudo after",
    "css-pseudo-class-checked": "pseudo checked", "css-pseudo-class-target": "pseudo target",
    "css-at-import": "rule import", "css-nesting": "nesting &",
    "html-form": "element form", "html-input-text": "element input", "html-textarea": "element textarea",
    "html-select": "element select", "html-button-submit": "element button", "html-video": "element video",
    "html-audio": "element audio", "html-svg": "element svg", "html-object": "element object", "html-dialog": "element dialog",
    "html-marquee": "element marquee", "html-meter": "element meter", "html-progress": "element progress",
    "html-link": "element link", "html-base": "element base",
    "html-hidden": "attribute hidden", "html-popover": "attribute popover",
    "image-webp": "picture webp", "image-avif": "picture avif", "image-svg": "picture svg", "image-bmp": "picture bmp",
    "image-tiff": "picture tiff?", "image-heif": "picture hei[cf]", "image-hdr": "picture hdr", "image-mp4": "picture mp4",
    "image-base64": "picture data",
}  # fmt: skip
"""How each feature is written. Those whose loss leaves the message whole are left out.

Rounded corners, shadows, gradients, web fonts, transitions, `:hover`, `@media` and the like fall away where they are not
known, and so does what only goes with another feature (`gap` with `display: flex`).
"""


def reduced(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table: for each feature how it is written, who fails, and how many are known."""
    features = {one["slug"]: one for one in document["data"]}
    return {
        "source": "npm caniemail 1.0.5, data of caniemail.com; see caniemail.LICENSE",
        "date": document["last_update_date"][:10],
        "features": [_feature(features[slug], written) for slug, written in FEATURES.items()],
    }


def _feature(feature: Mapping[str, Any], written: str) -> dict[str, Any]:
    answers = {name: _latest(feature["stats"], *client) for name, client in CLIENTS.items()}
    return {
        "title": feature["title"],
        "page": feature["url"],
        "written": written,
        "fails": [name for name, answer in answers.items() if answer == "n"],
        "known": sum(answer in ("y", "a", "n") for answer in answers.values()),
    }


def _latest(stats: Mapping[str, Any], family: str, platform: str) -> str:
    """Return y, a (almost), n or u (unknown) for a client's newest version, the last in the data."""
    versions = stats.get(family, {}).get(platform, {})
    return str(list(versions.values())[-1])[:1] if versions else "u"


if __name__ == "__main__":
    table = reduced(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print(json.dumps(table, ensure_ascii=False, indent=1))
