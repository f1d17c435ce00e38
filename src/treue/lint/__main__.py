"""The page of the rules, made from them; `docs/lint.md` is this, and a test holds it to it."""

from __future__ import annotations

from collections.abc import Iterator

from treue.language.problems import CODES
from treue.lint import RULES
from treue.lint.rule import Rule

INTRODUCTION = """# What lint says

`treue check` also says what is allowed and yet most likely not meant. These are warnings: they do not make it fail.
Where there is a database, the numbers come from it. `treue check --fix` puts right what can be put right safely:
misspelt words, and T504.

Made from the rules; do not edit it by hand (`python -m treue.lint > docs/lint.md`).
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([INTRODUCTION, *(line for rule in RULES for line in _rule(rule))]).rstrip() + "\n"


def _rule(rule: Rule) -> Iterator[str]:
    yield f"## {rule.code}: {CODES[rule.code]}\n\n{rule.page}\n"
    if rule.wrong:
        yield f"Said of:\n\n```\n{rule.wrong}\n```\n\nNot said of:\n\n```\n{rule.right}\n```\n"


if __name__ == "__main__":
    print(page(), end="")
