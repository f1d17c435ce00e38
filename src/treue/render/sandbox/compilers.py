"""The libraries that read whole pages: MJML to HTML, style sheets into elements, HTML to text.

They crash on what is nested too deeply, so only the child process (`child`) calls them.
"""

from __future__ import annotations

import re

_INLINE = re.compile(
    r"<mj-style\b[^>]*\binline\s*=\s*[\"']inline[\"'][^>]*>(.*?)</mj-style\s*>", re.IGNORECASE | re.DOTALL
)


def compile_mjml(masked: str) -> str:
    """Compile masked MJML to HTML. Web fonts are not loaded from third parties.

    What `<mj-style inline="inline">` says moves into the elements, which this compiler leaves to us. Raises ValueError
    with the compiler's words.
    """
    import mjml

    css = "\n".join(_INLINE.findall(masked))
    try:
        html: str = mjml.mjml2html(_INLINE.sub("", masked), fonts={})
    except Exception as error:
        raise ValueError(str(error)) from error
    return compile_html(html, css) if css else html


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


def plain_text(html: str) -> str:
    """Return the text of a page, its links as `[text](address)`."""
    from inscriptis import get_text
    from inscriptis.css_profiles import CSS_PROFILES
    from inscriptis.model.config import ParserConfig

    styles = CSS_PROFILES["strict"].copy()
    styles["ul"] = styles["ol"] = styles["p"]
    return str(get_text(html, ParserConfig(css=styles, display_links=True, display_anchors=False)))
