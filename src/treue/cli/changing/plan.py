"""`treue plan` and `treue apply`: what the files would change against what runs, and making it so."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treue.cli import opening, output
from treue.cli.opening import Json
from treue.clock import utc_now

if TYPE_CHECKING:
    from treue.composition.assembly import Assembly
    from treue.engine.versions.application import Applied, Look
    from treue.engine.versions.wordings import Wording
    from treue.engine.what_if.forecast import Forecast
    from treue.plan.diff import AskedExit, JourneyChange, StepChange

SHOWN = "plan.json"
"""The file in the workspace's state folder in which `plan` leaves what it showed, for `apply`."""

Migrate = Annotated[
    bool, typer.Option("--migrate", help="Move those inside to the new version, where a file does not say.")
]


Words = Annotated[
    bool, typer.Option("--words", help="Give today's words also to versions that keep older ones.")
]


def plan(context: typer.Context, migrate: Migrate = False, words: Words = False, json: Json = False) -> None:
    """Show what the files would change: journeys, steps, who stands there, what the next 24 hours would bring."""
    from treue.composition.assembly import assembled

    with assembled(opening.workspace(context), deliver=False) as assembly:
        files = assembly.files(migrate=migrate)
        now = utc_now()
        found = assembly.look(files, now, everything=words)
        with opening.interrupt_on_signals():
            ahead = assembly.forecast(files, now)
        notes = [*assembly.strange_moves(), *_unfit(assembly)]
        _remember(assembly, found)
    if json:
        output.document(at=now.isoformat(), notes=notes, **_document(found, ahead))
        return
    _show(found, notes)
    _show_forecast(ahead, assembly.settings.timezone)
    if not found.nothing:
        options = f"{' --migrate' if migrate else ''}{' --words' if words else ''}"
        output.line(f"\n`treue apply{options}` makes it so.")


def apply(
    context: typer.Context,
    migrate: Migrate = False,
    words: Words = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask, also where no `treue plan` came before.")
    ] = False,
    json: Json = False,
) -> None:
    """Make the files what runs: exactly as `treue plan` showed, or not at all. Ends with 1 where it is refused."""
    from treue.composition.assembly import assembled

    with assembled(opening.workspace(context), deliver=False) as assembly:
        files, shown = assembly.files(migrate=migrate), _remembered(assembly)
        if shown is None:
            found = assembly.look(files, utc_now(), everything=words)
            if not (yes or found.nothing):
                _ask(found, assembly.strange_moves())
            shown = found.fingerprint
        done = assembly.apply(files, utc_now(), shown, everything=words)
        if not done.refused:
            _path(assembly).unlink(missing_ok=True)
    if json:
        _document_done(done)
    else:
        _print_result(done)
    raise typer.Exit(1 if done.refused else 0)


def _unfit(assembly: Assembly) -> Iterator[str]:
    """Yield a sentence for each attribute that customers have as something else than declared, as `check` does."""
    from treue.segments.unfit import unfit

    with assembly.store.reading() as connection:
        for one in unfit(connection, assembly.settings.schema.attributes):
            yield f"{one.words()} `treue db conform` brings over what can be read so."


# --- what was shown -----------------------------------------------------------------------------------------


def _path(assembly: Assembly) -> Path:
    return assembly.state / SHOWN


def _remember(assembly: Assembly, found: Look) -> None:
    _path(assembly).write_text(json_.dumps(found.fingerprint), encoding="utf-8")


def _remembered(assembly: Assembly) -> Mapping[str, Any] | None:
    with suppress(OSError, ValueError):
        shown: Mapping[str, Any] = json_.loads(_path(assembly).read_text(encoding="utf-8"))
        return shown
    return None


def _ask(found: Look, notes: list[str]) -> None:
    """Show what would change and ask; off a terminal there is nobody to ask."""
    from treue.errors import UsageError

    if not sys.stdin.isatty():
        raise UsageError("Nobody has looked at the changes yet. Run `treue plan` first, or give --yes.")
    _show(found, notes)
    typer.confirm("\nApply this?", abort=True)


# --- for people ---------------------------------------------------------------------------------------------

_MARKS = {"added": ("+", "good"), "removed": ("-", "bad"), "changed": ("~", "warning"),
          "renamed": ("~", "warning"), "moved": ("~", "warning")}  # fmt: skip


def _show(found: Look, notes: list[str]) -> None:
    for note in notes:
        output.tell(output.styled(f"warning: {note}", "warning"))
    if found.nothing:
        output.line("The files are what runs; there is nothing to apply.")
    for n, change in enumerate(found.changes):
        if n:
            output.line()
        _show_journey(change)
    _show_words(found)


def _show_words(found: Look) -> None:
    """Show whose messages are written otherwise from now on, and who keeps older words."""
    for n, (template, versions) in enumerate(_by_template(found).items()):
        if not n:
            output.line(f"\n{output.styled('Words', 'strong')}")
        if any(one.fate == "replaced" for one in versions):
            people = output.count(_heads_of(versions, "replaced"), "customer")
            output.line(
                f"  {output.styled(f'~ {template}', 'warning')}  wording only: everybody gets it from now on, {people} "
                "inside too; no timer moves."
            )
        for one in versions:
            if one.fate != "replaced" and one.inside:
                people = f"{output.count(one.inside, 'customer')} inside {one.journey}"
                output.line(f"  {output.styled(f'· {template}', 'dim')}  {_KEEPS[one.fate].format(people)}")


_KEEPS = {
    "removed": "is gone: {} still get it as it was.",
    "unfit": "needs what an older version does not give: {} get it as it was.",
    "older": "{} keep older words; `treue apply --words` gives them today's.",
}


def _by_template(found: Look) -> dict[str, list[Wording]]:
    by: dict[str, list[Wording]] = {}
    for one in sorted(found.words, key=lambda one: (one.template, one.journey, one.version_id)):
        if one.fate == "replaced" or one.inside:
            by.setdefault(one.template, []).append(one)
    return by


def _heads_of(versions: list[Wording], fate: str) -> int:
    return sum(one.inside for one in versions if one.fate == fate)


def _show_journey(change: JourneyChange) -> None:
    output.line(f"{output.styled(change.name, 'strong')} {_headline(change)}")
    for part in change.parts:
        is_new = change.change == "added" and not part.was
        output.line(f"    {part.label:<10}{part.now if is_new else _part(part.was, part.now)}")
    for exit_ in change.exits:
        _show_exit(change, exit_)
    for step in change.steps:
        if change.change != "removed" or step.inside:
            _show_step(change, step)
    if change.change in ("changed", "added") and change.old_source:
        _show_source(change)


def _headline(change: JourneyChange) -> str:
    people = output.count(change.inside, "customer")
    verb = "is" if change.inside == 1 else "are"
    if change.change == "added":
        return "runs again." if change.old_source else "is new."
    if change.change == "removed":
        rest = f"{people} {verb} inside and will finish it" if change.inside else "nobody is inside"
        return f"has no file any more. Nobody enters it from now on; {rest}."
    if change.change == "unchanged":
        return f"has not changed; {people} on older versions {'goes' if change.inside == 1 else 'go'} on in this one."
    if not change.inside:
        return "changes; nobody is inside."
    fate = {
        "finish": "and will finish on the version they entered",
        "migrate": "and will go on in the new version",
        "exit": "and will leave, since the file says `in_flight: exit`",
    }[change.in_flight]
    return f"changes; {people} {verb} inside {fate}."


def _part(was: str, now: str) -> str:
    if was == now:
        return f"{now}  (a segment it names means something else now)"
    removed, added = output.styled(was, "bad"), output.styled(now, "good")
    return (
        f"{removed} → {added}"
        if was and now
        else f"{'no longer' if was else 'new:'} {removed if was else added}"
    )


def _show_exit(change: JourneyChange, one: AskedExit) -> None:
    from treue.plan.explain import leaving

    heads = list(_heads(change, one))
    if one.is_new and not heads:
        return
    when = (
        "" if one.is_new else " is asked at the door and at each step from now on, not only noticed by passes"
    )
    output.line(
        f"    exit      {leaving(one.exit)}{when}:" if heads else f"    exit      {leaving(one.exit)}{when}"
    )
    for sentence in heads:
        output.line(f"              {sentence}")


def _heads(change: JourneyChange, one: AskedExit) -> Iterator[str]:
    """Yield how many customers an exit concerns that is asked from now on."""
    if one.inside and change.in_flight != "exit":
        meet = f"{one.inside:,} of the {output.count(change.inside, 'customer')} inside {'meets' if one.inside == 1 else 'meet'} it already"
        would = {
            "migrate": "and will leave at their next step",
            "finish": "and will finish on their version; with --migrate they would leave at their next step",
        }
        yield f"{meet} {would[change.in_flight]}."
    if one.among:
        among = output.count(one.among, "customer")
        whom = {
            "segment": f"{among} who may come from its segment",
            "recent": f"{among} who entered in the last 30 days",
        }
        verb = {"segment": "would be", "recent": "would have been"}
        yield f"{one.turned_away:,} of the {whom[one.coming]} {verb[one.coming]} turned away at the door."


def _show_step(change: JourneyChange, step: StepChange) -> None:
    mark, style = _MARKS[step.change]
    name = step.id if step.change != "renamed" else f"{step.old_id} → {step.id}"
    output.line(f"  {output.styled(f'{mark} {name}', style)}  {_what(step)}")
    if step.inside and change.in_flight != "exit":
        output.line(f"      {_people(change, step)}")


def _what(step: StepChange) -> str:
    match step.change:
        case "added":
            return step.now
        case "changed":
            if step.was == step.now:
                return f"{step.now}  (a segment or a template's category it names means something else now)"
            return f"{step.was} → {step.now}"
        case "moved":
            return f"stands elsewhere: {step.now}"
        case "renamed":
            return f"has another id: {step.now}"
    return f"is gone: {step.was}"


def _people(change: JourneyChange, step: StepChange) -> str:
    stand = f"{output.count(step.inside, 'customer')} {'stands' if step.inside == 1 else 'stand'} here"
    if change.change == "removed":
        return f"{stand}."
    there = f"at {step.target}" if step.target else ""
    if change.in_flight == "migrate":
        if step.target:
            return f"{stand} and will go on {there}."
        return output.styled(
            f"{stand} and would have no step to go on at: write `moved: {{{step.id}: ID}}`.", "bad"
        )
    would = f"would go on {there}" if step.target else "would have no step to go on at"
    return f"{stand} and will stay on their version; with --migrate they {would}."


def _show_source(change: JourneyChange) -> None:
    from difflib import unified_diff

    old, new = change.old_source.splitlines(), change.new_source.splitlines()
    lines = list(unified_diff(old, new, lineterm="", n=2))[2:]
    if lines:
        output.line()
    for line in lines:
        style = {"+": "good", "-": "bad", "@": "mark"}.get(line[0], "dim")
        output.line(f"    {output.styled(line, style)}")


def _show_forecast(ahead: Forecast, zone: str) -> None:
    until = opening.local(ahead.until, zone)
    if not ahead.journeys:
        output.line(f"\nUntil {until}, from what is known now, nobody would enter and nothing would be sent.")
        return
    output.line(f"\n{output.styled(f'Until {until}, from what is known now', 'strong')}")
    channels = sorted({channel for one in ahead.journeys.values() for channel in one.sent})
    rows = [
        (
            name,
            one.entering,
            *(one.sent.get(channel, 0) for channel in channels),
            sum(one.refused.values()),
            one.waiting,
        )
        for name, one in ahead.journeys.items()
    ]
    output.table(("journey", "entering", *channels, "not sent", "waiting"), rows, "  ")
    for reason in sorted({reason for one in ahead.journeys.values() for reason in one.refused}):
        output.line(output.styled(f"  not sent, {reason}: {_refusals(ahead, reason)}", "dim"))


def _refusals(ahead: Forecast, reason: str) -> str:
    """Return how many messages of which journeys a reason stands against, and what it means."""
    from treue.model.states import Reason

    told = ", ".join(
        f"{one.refused[reason]:,} of {name}" for name, one in ahead.journeys.items() if reason in one.refused
    )
    return f"{told}; {Reason(reason).sentence}" if reason in set(Reason) else told


def _print_result(done: Applied) -> None:
    for sentence in done.refused:
        output.tell(f"treue: {sentence}")
    if done.refused:
        output.tell("Nothing was changed. `treue plan` shows how things stand now.")
        return
    if done.look.nothing:
        output.line("The files are what runs; there was nothing to apply.")
    words = {"added": "runs now", "changed": "runs in its new version", "removed": "lets nobody in any more",
             "unchanged": "is as it was"}  # fmt: skip
    for change in done.look.changes:
        output.line(f"{output.styled(change.name, 'strong')} {words[change.change]}.{_fate(done, change)}")
    for template in sorted({one.template for one in done.look.words if one.fate == "replaced"}):
        output.line(f"{output.styled(template, 'strong')} has its new words.")


def _fate(done: Applied, change: JourneyChange) -> str:
    if moved := done.migrated.get(change.name):
        return f" {output.count(moved, 'customer')} went on in it."
    if left := done.let_out.get(change.name):
        return f" {output.count(left, 'customer')} left."
    return f" {output.count(change.inside, 'customer')} will finish on theirs." if change.inside else ""


# --- for programs -------------------------------------------------------------------------------------------


def _document(found: Look, ahead: Forecast) -> dict[str, Any]:
    return {
        "journeys": [_journey(change) | {"exits": _exits(change)} for change in found.changes],
        "words": [
            {"template": one.template, "journey": one.journey, "change": one.fate, "inside": one.inside}
            for versions in _by_template(found).values()
            for one in versions
        ],
        "forecast": {
            "until": ahead.until.isoformat(),
            "journeys": {name: one.as_json() for name, one in ahead.journeys.items()},
        },
    }


def _journey(change: JourneyChange) -> dict[str, Any]:
    return {
        "name": change.name,
        "change": change.change,
        "in_flight": change.in_flight,
        "inside": change.inside,
        "parts": [
            {"label": one.label, "was": one.was or None, "now": one.now or None} for one in change.parts
        ],
        "steps": [_step(change, step) for step in change.steps],
    }


def _exits(change: JourneyChange) -> list[dict[str, Any]]:
    from treue.plan.explain import leaving

    return [
        {
            "exit": leaving(one.exit),
            "new": one.is_new,
            "inside": one.inside,
            "turned_away": one.turned_away,
            "of": one.among,
            "coming": one.coming,
        }
        for one in change.exits
    ]


def _step(change: JourneyChange, step: StepChange) -> dict[str, Any]:
    return {
        "id": step.id,
        "change": step.change,
        "old_id": step.old_id,
        "was": step.was or None,
        "now": step.now or None,
        "inside": step.inside,
        "goes_to": step.goes_to(change.in_flight),
        "under": {"finish": step.goes_to("finish"), "migrate": step.goes_to("migrate")},
    }


def _document_done(done: Applied) -> None:
    output.document(
        applied=not done.refused,
        refused=list(done.refused),
        journeys=[_journey(change) for change in done.look.changes],
        migrated=dict(done.migrated),
        let_out=dict(done.let_out),
    )


def differs(names: tuple[str, ...]) -> None:
    """Tell that the files are not what runs, in one line."""
    if names:
        some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        output.tell(
            f"The files differ from what runs ({some}); `treue plan` shows how, `treue apply` makes it so."
        )


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(plan)
    app.command()(apply)
