"""`treue compile`: what a journey became."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from treue.cli import opening, output
from treue.cli.garbage import without_garbage_collection
from treue.cli.opening import Json
from treue.clock import utc_now

if TYPE_CHECKING:
    from treue.engine.steps.shown_sql import Shown
    from treue.language.settings import Settings
    from treue.language.steps import Stage
    from treue.plan.plan import Plan
    from treue.workspace.workspace import Workspace


def compile_(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The journey.")],
    json: Json = False,
) -> None:
    """Show what a journey became: its stages, tasks and SQL."""
    with without_garbage_collection():
        workspace = opening.workspace(context)
        plan = plan_of(workspace, opening.known(name, workspace.journeys, "journey"))
        dialect = _dialect(workspace.settings)
        if json:
            _document(workspace.settings, plan, dialect)
        else:
            _print(workspace.settings, plan, dialect)


def plan_of(workspace: Workspace, name: str) -> Plan:
    """Return the plan of one journey."""
    from treue.plan.flatten import build
    from treue.render.templates.template import category

    templates, locale = workspace.root / "templates", workspace.settings.locale
    return build(workspace.journeys[name], lambda t, c: category(templates, t, c, locale) or None)


def _dialect(settings: Settings) -> str:
    from treue.store.store import normal_url

    return normal_url(settings.database.value()).get_backend_name()


def _sql(settings: Settings, plan: Plan, dialect: str) -> dict[str, list[Shown]]:
    from treue.engine.steps.shown_sql import stage_sql

    now = utc_now()
    return {
        stage.id: stage_sql(
            plan, stage, now, dialect, settings.timezone, settings.workspace, settings.pressure
        )
        for stage in plan.stages
    }


def _print(settings: Settings, plan: Plan, dialect: str) -> None:
    from treue.plan import explain
    from treue.plan.stored import plan_hash

    output.line(f"{output.styled(plan.journey, 'strong')}  {plan_hash(plan)}")
    for label, text in _head(plan):
        output.line(f"  {label:<9}{text}")
    output.line(f"\n{output.styled('Tasks of a pass', 'strong')}\n  {', '.join(explain.tasks(plan))}")
    output.line(f"\n{output.styled('Stages', 'strong')}")
    for stage in plan.stages:
        passed = f"  if {stage.when.words()}" if stage.when is not None else ""
        output.line(f"  {output.styled(stage.id, 'mark')}  {stage.words()}{passed}")
        for lead in stage.leads():
            label = f"{lead.label} " if lead.label else ""
            output.line(f"      {label}→ {lead.to or explain.END}")
    output.line(f"\n{output.styled(f'SQL of one batch ({dialect})', 'strong')}")
    sql = _sql(settings, plan, dialect)
    for stage in plan.stages:
        output.line(f"\n-- {stage.id}: {stage.words()}")
        for shown in sql[stage.id]:
            sql_text = f"\n{shown.sql};" if shown.sql else ""
            output.line(f"{output.styled('-- ' + shown.says, 'dim')}{sql_text}")


def _head(plan: Plan) -> list[tuple[str, str]]:
    from treue.plan import explain

    lines = [
        ("category", f"{explain.category(plan)}, priority {plan.priority}"),
        ("enter", "; ".join((plan.entry.trigger.words(), *explain.admission(plan.entry)))),
    ]
    lines += [("exit", explain.leaving(one)) for one in plan.exits]
    lines += [("goal", explain.goal(plan.goal))] if plan.goal else []
    lines += [("holdout", f"{explain.share(plan.holdout)}, sent nothing")] if plan.holdout else []
    return lines


def _document(settings: Settings, plan: Plan, dialect: str) -> None:
    from treue.plan import explain
    from treue.plan.stored import plan_hash

    sql = _sql(settings, plan, dialect)
    output.document(
        journey=plan.journey,
        hash=plan_hash(plan),
        category=plan.category,
        basis=plan.basis,
        priority=plan.priority,
        enter=[plan.entry.trigger.words(), *explain.admission(plan.entry)],
        exits=[explain.leaving(one) for one in plan.exits],
        goal=explain.goal(plan.goal) if plan.goal else None,
        holdout=plan.holdout / 10_000,
        tasks=explain.tasks(plan),
        dialect=dialect,
        stages=[_stage(stage, sql[stage.id]) for stage in plan.stages],
    )


def _stage(stage: Stage, sql: list[Shown]) -> dict[str, Any]:

    return {
        "id": stage.id,
        "kind": stage.kind,
        "line": stage.line,
        "what": stage.words(),
        "if": stage.when.words() if stage.when is not None else None,
        "leads_to": [{"label": lead.label, "to": lead.to} for lead in stage.leads()],
        "sql": [{"says": one.says, "sql": one.sql} for one in sql],
    }


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("compile")(compile_)
