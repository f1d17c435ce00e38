"""`treue check`: every file against the language, the schema and each other; all problems at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from treue.cli import opening, output
from treue.cli.garbage import without_garbage_collection
from treue.cli.opening import Json
from treue.clock import utc_now
from treue.errors import UnreadableFile, UsageError
from treue.language.grammar import Anything
from treue.language.problems import Problem, framed
from treue.vocabulary.workspace import load
from treue.workspace.files import LAYOUT, read_file
from treue.workspace.workspace import Workspace

if TYPE_CHECKING:
    from treue.render.templates.renderer import Renderer


_SHARING = "{} share an e-mail address with others: the same marketing text goes to each mailbox once."
_MOST_SHOWN = 1024 * 1024
"""Bytes of a file that are looked through for the lines that problems are in."""


def check(
    context: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="Only these files or folders.")
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Put right what can be put right safely.")] = False,
    json: Json = False,
) -> None:
    """Look for problems in every file and template.

    Files are held against the language, the schema and each other, templates are rendered, and what is most likely not meant is warned of, with numbers where there is a database. Shows all problems at once. Ends with 1 where there is one, with 0 where there are none or only warnings.
    """
    from treue.channel import installed_adapters
    from treue.render.sandbox import confinement

    root = opening.root(context)
    confinement.start()  # what renders templates gets ready while the files are read
    wanted = _wanted(files or [], root)
    with without_garbage_collection():
        workspace = load(root, installed_adapters, tests=True)
        found, sharing = _all(workspace, wanted)
        problems = _chosen(found, wanted)
        if fix and _fix(workspace, problems):
            workspace = load(root, installed_adapters, tests=True)
            found, sharing = _all(workspace, wanted)
            problems = _chosen(found, wanted)
    if json:
        output.document(problems=[problem.as_json() for problem in problems], sharing_an_address=sharing)
    else:
        _show(workspace, problems)
        if sharing and not files:
            output.line(_SHARING.format(output.count(sharing, "customer")))
    raise typer.Exit(int(any(not problem.is_warning for problem in problems)))


def _wanted(files: Sequence[Path], root: Path) -> list[str]:
    """Return files and folders as the problems name them, relative to the workspace."""
    found, top = [], root.resolve()
    for given in files:
        there = [path.resolve() for path in (Path.cwd() / given, root / given) if path.exists()]
        inside = [path for path in there if path.is_relative_to(top)]
        if not inside:
            where = f"{given} is not in the workspace {root}" if there else f"There is no file {given}"
            raise UsageError(f"{where}.")
        found.append(inside[0].relative_to(top).as_posix())
    return found


def _all(workspace: Workspace, wanted: Sequence[str]) -> tuple[list[Problem], int]:
    """Return all problems, and how many customers share an e-mail address as far as there is a database."""
    from treue.render.templates.workspace_check import template_problems, workspace_renderer
    from treue.workspace.channels import channel_problems

    names, renderer = _templates(workspace, wanted), workspace_renderer(workspace)
    templates = template_problems(workspace, names, renderer)
    linted, sharing = _linted(workspace, renderer, templates, names)
    counted = {problem.place for problem in linted if problem.code == "T508"}
    told = [one for one in templates if one.code != "T405" or one.place not in counted]
    return sorted([*workspace.problems, *channel_problems(workspace), *told, *linted]), sharing


def _linted(
    workspace: Workspace, renderer: Renderer, templates: Sequence[Problem], names: set[str]
) -> tuple[list[Problem], int]:
    from treue.lint import LintInput, findings

    files = LintInput(workspace, renderer, templates, names)
    if not workspace.journeys and not workspace.templates:
        return [], 0
    with opening.store_if_there(workspace) as store:
        if store is None:
            return list(findings(files, None)), 0
        from treue.lint.data import Data

        with store.reading() as connection:
            data = Data(connection, utc_now(), workspace.settings.timezone)
            return list(findings(files, data)), data.sharing


def _fix(workspace: Workspace, problems: Sequence[Problem]) -> bool:
    """Write the files in which something can be put right; say what was done, and whether anything was."""
    from treue.lint.fixes import fix

    done = False
    for file in dict.fromkeys(problem.place.file for problem in problems):
        if file not in workspace.texts:
            continue
        found = fix(workspace.texts[file], [one for one in problems if one.place.file == file])
        if found.done:
            (workspace.root / file).write_text(found.text, encoding="utf-8")
            done = True
        for problem, what in found.done:
            output.tell(f"{file}:{problem.place.line} {problem.code}: {what}")
    return done


def _templates(workspace: Workspace, wanted: Sequence[str]) -> set[str]:
    """Return the templates that have to be rendered; those outside the wanted files need not.

    Where one cannot tell what the settings declare, none: every name in them would be unknown.
    """
    schema = workspace.settings.schema
    if isinstance(schema.attributes, Anything) or isinstance(schema.events, Anything):
        return set()
    everything = not wanted or any(_within(f"templates/{LAYOUT}", one) for one in wanted)
    if everything or any(one.startswith(f"templates/{LAYOUT}/") for one in wanted):
        return set(workspace.templates)
    parts = [one.split("/") for one in wanted]
    return {part[1] for part in parts if part[0] == "templates" and len(part) > 1} & set(workspace.templates)


def _within(file: str, folder: str) -> bool:
    return folder == "." or file == folder or file.startswith(folder + "/")


def _chosen(problems: Sequence[Problem], wanted: Sequence[str]) -> list[Problem]:
    if not wanted:
        return list(problems)
    return [problem for problem in problems if any(_within(problem.place.file, one) for one in wanted)]


def _show(workspace: Workspace, problems: Sequence[Problem]) -> None:
    texts: dict[str, str | None] = dict(workspace.texts)
    for problem in problems:
        file = problem.place.file
        if file not in texts:
            texts[file] = _text(workspace.root / file)
        head, _, rest = framed(problem, texts[file]).partition("\n")
        output.line(output.styled(head, "warning" if problem.is_warning else "bad"))
        output.line(rest + "\n" if rest else "")
    output.line(_summary(workspace, problems))


def _text(path: Path) -> str | None:
    try:
        return read_file(path, _MOST_SHOWN).decode("utf-8", "replace")
    except UnreadableFile:
        return None


def _summary(workspace: Workspace, problems: Sequence[Problem]) -> str:
    wrong = sum(not problem.is_warning for problem in problems)
    warnings = len(problems) - wrong
    also = f", {output.count(warnings, 'warning')}" if warnings else ""
    if wrong:
        files = len({problem.place.file for problem in problems if not problem.is_warning})
        return output.styled(
            f"{output.count(wrong, 'problem')} in {output.count(files, 'file')}{also}.", "bad"
        )
    checked = ", ".join(
        output.count(len(found), one)
        for one, found in (
            ("journey", workspace.journeys), ("segment", workspace.segments), ("template", workspace.templates)
        )
    )  # fmt: skip
    return output.styled(f"{checked}: no problems{also}.", "good")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(check)
