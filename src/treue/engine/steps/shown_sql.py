"""The SQL of each stage as text for people: the very statements that `advance` runs, nothing executed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Dialect, exc
from sqlalchemy.dialects import postgresql, sqlite

from treue.cohorts.player import player
from treue.cohorts.scene import Deed, Scene, Statement
from treue.engine.pressure.judge import Judge
from treue.engine.versions.versions import Version
from treue.language.pressure import Pressure
from treue.language.steps import Stage
from treue.plan.plan import Plan

_QUOTED = re.compile(r"('(?:[^']|'')*'|\"[^\"]*\")")
_MARK = re.compile(
    r"[()]|\s+(LEFT OUTER JOIN|JOIN|FROM|WHERE|AND|OR|GROUP BY|ORDER BY|SET|LIMIT|ON CONFLICT|UNION ALL|SELECT)\b"
)
_INDENTED = ("AND", "OR", "JOIN", "LEFT OUTER JOIN", "SET")


@dataclass(frozen=True)
class Shown:
    """One statement: what it is for, and its SQL."""

    says: str
    sql: str


def stage_sql(
    plan: Plan,
    stage: Stage,
    now: datetime,
    dialect: str,
    zone: str,
    salt: str,
    pressure: Pressure | None = None,
) -> list[Shown]:
    """Return the statements of one batch of a stage on `sqlite` or `postgresql`, with the values in place.

    The numbers of journey, version and steps are those of an empty database. Needs no database.
    """
    judge = Judge(pressure, dialect, zone, salt) if pressure else None
    numbers = {one.id: n for n, one in enumerate(plan.stages, start=1)}
    scene = Scene(Version(plan, "", 1, 1, numbers), now, dialect, zone, salt)
    found: list[Statement | Deed] = [
        statement for script in player(stage).scripts() for statement in script(scene, stage)
    ]
    if judge is not None and stage.message:
        found += judge.shown(stage.message.channels)
    return [Shown(one.says, _text(one.sql, dialect) if isinstance(one, Statement) else "") for one in found]


def _text(statement: Any, dialect: str) -> str:
    compiler = _dialect(dialect)
    try:
        sql = str(statement.compile(dialect=compiler, compile_kwargs={"literal_binds": True}))
    except (exc.CompileError, NotImplementedError):
        sql = str(statement.compile(dialect=compiler))
    return laid_out(sql)


@cache
def _dialect(name: str) -> Dialect:
    """Return the dialect, writing `:now` where a value is given only when the statement is run."""
    made: Any = postgresql.dialect if name == "postgresql" else sqlite.dialect
    dialect: Dialect = made()
    base: Any = dialect.statement_compiler

    class Compiler(base):  # type: ignore[misc]
        def visit_bindparam(self, bindparam: Any, *args: Any, **kwargs: Any) -> str:
            if bindparam.required:
                return f"(:{bindparam.key})" if bindparam.expanding else f":{bindparam.key}"
            written: str = super().visit_bindparam(bindparam, *args, **kwargs)
            return written

    dialect.statement_compiler = Compiler
    return dialect


def laid_out(sql: str) -> str:
    """Return SQL with each clause in a line of its own, indented by its brackets; texts in quotes stay whole."""
    queries, parts = [True], list[str]()
    for n, piece in enumerate(_QUOTED.split(sql.replace("\n", " "))):
        done = 0
        for match in _MARK.finditer(piece) if n % 2 == 0 else ():
            parts.append(piece[done : match.start()])
            done = match.end()
            if match[0] == "(":
                queries.append(piece[done:].lstrip().startswith("SELECT"))
            elif match[0] == ")":
                queries.pop()
            parts.append(_mark(match, queries))
        parts.append(piece[done:])
    text = re.sub(r" +(?=\n)", "", "".join(parts)).strip().replace("DELETE\nFROM", "DELETE FROM")
    return _without_idle_names(text)


def _without_idle_names(sql: str) -> str:
    """Leave out the names SQLAlchemy gives to columns that nothing refers to."""
    names = re.findall(r" AS ((?:anon|json|jsonb|at|coalesce|param)\w*_\d+)\b", sql)
    for name in names:
        if len(re.findall(rf"\b{name}\b", sql)) == 1:
            sql = re.sub(rf" AS {name}\b", "", sql)
    return sql


def _mark(match: re.Match[str], queries: list[bool]) -> str:
    """Return a bracket as it is and a clause's first word in a new line, unless it is within an expression."""
    if match[1] is None:
        return match[0]
    if match[1] in ("AND", "OR") and not queries[-1]:
        return f" {match[1]}"
    depth = len(queries) - 1 + (match[1] in _INDENTED)
    return f"\n{'  ' * depth}{match[1]}"
