"""Rules about templates: languages that are missing, and values that real customers lack."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from treue.language.problems import Place, Problem
from treue.lint.rule import LintInput, Rule
from treue.workspace.files import LAYOUT, TemplateFolder

if TYPE_CHECKING:
    from treue.lint.data import Data

_PRINTED = re.compile(r"A customer may have no (\w+)")


class MissingLocale(Rule):
    """A template without a language that most templates have.

    Its readers get the variant without a language instead. Write the file, or leave it where one language is meant.
    """

    code = "T507"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each template and channel that lacks a language at least half of the templates have."""
        folders = [folder for name, folder in files.workspace.templates.items() if name != LAYOUT]
        have = Counter(locale for folder in folders for locale in {locale for _, locale in folder.variants})
        usual = [locale for locale, n in sorted(have.items()) if locale and 2 * n >= len(folders)]
        for folder in folders:
            for channel in folder.channels:
                yield from self._lacking(folder, channel, usual)

    def _lacking(self, folder: TemplateFolder, channel: str, usual: list[str]) -> Iterator[Problem]:
        there = {locale for kind, locale in folder.variants if kind == channel}
        for locale in usual:
            if locale not in there:
                message = f"`{folder.name}` has no {channel} in `{locale}`, which most templates have."
                form = "txt" if channel != "email" else "mjml"
                hint = f"Write templates/{folder.name}/{channel}.{locale}.{form}."
                yield Problem(Place(f"templates/{folder.name}", 1, 1), self.code, message, hint)


class MissingForCustomers(Rule):
    """A template prints a value that real customers lack.

    Counted in the workspace's database. For them the message fails, and for them alone: nobody gets "Hello ,". Give it a
    `default`, or put it into an `{% if %}`.
    """

    code = "T508"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield what the templates' own check suspects, where the data bear it out."""
        if data is None or not data.customers:
            return
        types = files.workspace.settings.schema.attributes
        for problem in files.template_problems:
            named = _PRINTED.search(problem.message) if problem.code == "T405" else None
            if named and (kind := types.get(named[1])):
                lacking = data.lacking(named[1], kind)
                message = (
                    f"{lacking:,} of {data.customers:,} customers have no {named[1]}; for them this fails."
                )
                if lacking:
                    yield replace(problem, code=self.code, message=message)
