"""What each kind of stage does, as SQL. `advance` runs these, `treue compile` prints these.

A stage acts on a cohort: the enrollments that stand at it and are due, taken into the temporary table
`cohort`. All of its statements are one transaction. A customer's time is logical: what is due at 09:00 and done
at 09:04 happened at 09:00, so waits do not drift and results do not depend on how often passes run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Executable,
    Insert,
    Select,
    SmallInteger,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    true,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from treue.engine import learning
from treue.engine.draws import split_purpose, way_sql
from treue.engine.local_time import absolute
from treue.engine.versions import Version
from treue.model.states import (
    ADDRESS,
    PREFERRED_CHANNEL,
    WEBHOOK,
    ArrivalKind,
    Category,
    Decision,
    MessageState,
    Outcome,
    Reason,
)
from treue.model.tables import (
    arrival,
    cohort,
    consent,
    customer,
    draw,
    enrollment,
    event,
    journey,
    message,
    suppression,
    trace,
)
from treue.model.types import Instant, Json
from treue.plan.stages import Call, Choose, Emit, Send, Set, Split, Stage, Start, Stop, WaitFor, Way
from treue.segments.needs import looks_ahead
from treue.segments.reach import suppresses
from treue.segments.sql import AnyMoment, Moment, branches
from treue.segments.tree import Condition
from treue.store.dialect import among

if TYPE_CHECKING:
    from treue.engine.pressure import Judge

SKIP = "skip"

NOW = bindparam("now", type_=Instant())
"""The pass's time, given when a statement is run: so that most statements are made once for each version."""

MICROS = cast(NOW, BigInteger)
"""The pass's time to calculate with."""

BEFORE = bindparam("before", type_=Instant())
"""The end of the hour of those who are asked conditions; see `Scene.before`."""


@dataclass(frozen=True)
class Statement:
    """One SQL statement and, in a few words, what it is for. `takes` marks the one that takes the cohort."""

    says: str
    sql: Executable
    takes: bool = False


@dataclass(frozen=True)
class Scene:
    """Where a stage is played: which version, when, on which database, and how many customers at a time.

    `connection` is None where the SQL is only to be shown, `judge` where there are neither limits nor quiet hours.
    """

    version: Version
    now: datetime
    dialect: str
    zone: str
    salt: str
    connection: Connection | None = None
    batch: int = 5_000
    judge: Judge | None = None
    before: datetime | None = None
    """Only those due before this are taken, the end of an hour; see `present`."""
    asked_at: Moment | None = None
    """What conditions are made into SQL for, where that is not the present."""

    @property
    def moment(self) -> Moment:
        """What conditions are made into SQL for."""
        return self.asked_at or self.present

    @property
    def present(self) -> Moment:
        """When and where conditions are looked at: a pass that is late finds what one in time would have found."""
        return Moment(min(self.before or self.now, self.now), self.zone)


def made_once(
    version: Version,
    key: Hashable,
    asked: Iterable[Condition],
    moment: Moment,
    make: Callable[[Moment], Any],
) -> tuple[Any, dict[str, Any]]:
    """Return what `make` makes to ask conditions at a moment, and the values to run it with.

    It is made once for each version, for any moment, unless a condition looks ahead.
    """
    if any(map(looks_ahead, asked)):
        return make(moment), {}
    if key not in version.memo:
        then = AnyMoment(zone=moment.zone)
        version.memo[key] = make(then), then
    made, then = version.memo[key]
    return made, then.values(moment)


def standing(version: Version, stage: Stage, armed: bool | None = None) -> list[ColumnElement[bool]]:
    """Return what picks those who stand at a stage and are due, with `armed` those who know when their wait ends."""
    found: list[ColumnElement[bool]] = [
        enrollment.c.version_id == version.version_id,
        enrollment.c.step_id == version.number(stage),
        enrollment.c.outcome == Outcome.inside.value,
        enrollment.c.due_at <= NOW,
    ]
    if armed is not None:
        found.append(enrollment.c.deadline_at.is_not(None) if armed else enrollment.c.deadline_at.is_(None))
    return found


def clear() -> Statement:
    """Empty the cohort."""
    return Statement("empty the cohort", delete(cohort))


def take(scene: Scene, stage: Stage, armed: bool | None = None) -> Statement:
    """Take the next batch of those who stand at the stage and are due; of a wait, those armed or not."""
    next_ones = _due(scene, stage, armed).order_by(enrollment.c.due_at, enrollment.c.id).limit(scene.batch)
    return Statement("take those who are due", _taking(next_ones), takes=True)


def take_other_stays(connection: Connection, scene: Scene, stage: Stage, armed: bool | None) -> Insert:
    """Return what takes those stays of a full batch's customers that it has left to the next one.

    It goes by customer: by stage it would read everybody who is due again for each batch.
    """
    taken = connection.scalars(select(cohort.c.customer_id))
    left = _due(scene, stage, armed).where(
        enrollment.c.journey_id == scene.version.journey_id,
        among(connection, enrollment.c.customer_id, taken),
        enrollment.c.id.not_in(select(cohort.c.enrollment_id)),
    )
    return _taking(left.with_hint(enrollment, "INDEXED BY enrollment_customer", "sqlite"))


def _due(scene: Scene, stage: Stage, armed: bool | None) -> Select[Any]:
    due = select(
        enrollment.c.id,
        enrollment.c.customer_id,
        enrollment.c.event_id,
        enrollment.c.held_out,
        enrollment.c.entered_at,
        enrollment.c.arrived_at,
        enrollment.c.due_at,
        enrollment.c.deadline_at,
    ).where(*standing(scene.version, stage, armed))
    return due.where(enrollment.c.due_at < BEFORE) if scene.before is not None else due


def _taking(due: Select[Any]) -> Insert:
    columns = [
        "enrollment_id", "customer_id", "event_id", "held_out", "entered_at", "arrived_at", "at", "deadline_at",
    ]  # fmt: skip
    return insert(cohort).from_select(columns, due).execution_options(preserve_rowcount=True)


def skip_unless(scene: Scene, stage: Stage) -> list[Statement]:
    """Mark those for whom the step's `if` does not hold; they go on without it."""
    if stage.when is None:
        return []
    found = branches([stage.when], scene.moment, scene.dialect, cohort).subquery("asked")
    mark = (
        update(cohort)
        .values(note=SKIP)
        .where(cohort.c.enrollment_id == found.c.enrollment_id, found.c.branch.is_(None))
    )
    note = traced(scene, stage, Decision.skipped, where=cohort.c.note == SKIP)
    return [Statement("who skips the step", mark), Statement("note the skipped", note)]


def act(scene: Scene, stage: Stage) -> list[Statement]:
    """Return what the stage does with its cohort, after `take` and `skip_unless`, before they go on."""
    match stage:
        case Send():
            return _send(scene, stage)
        case Choose():
            return _choose(scene, stage)
        case Split():
            return _split(scene, stage)
        case Set():
            return _set(scene, stage)
        case Emit():
            return _emit(scene, stage)
        case Call():
            return _call(scene, stage)
        case Start():
            return _start(scene, stage)
        case Stop():
            return []
    raise AssertionError(stage)


def go_on(scene: Scene, stage: Stage) -> list[Statement]:
    """Move the cohort to where the stage leads."""
    if isinstance(stage, (Choose, Split)):
        moves = [
            move(scene, way.to, cohort.c.branch == n, f"on through {way.name}")
            for n, way in enumerate(stage.ways)
        ]
        return [*_flat(moves), *move(scene, stage.to, cohort.c.branch.is_(None), "on past it")]
    if isinstance(stage, Stop):
        return [
            *move(scene, None, cohort.c.note.is_(None), "end"),
            *move(scene, stage.to, cohort.c.note == SKIP, "on past it"),
        ]
    return move(scene, stage.to, None, "on")


def asks(stage: Stage) -> bool:
    """Whether a stage asks conditions, which is done as of the customers' own time (see `Scene.present`)."""
    return stage.when is not None or isinstance(stage, (Choose, WaitFor))


def conditions(stage: Stage) -> list[Condition]:
    """Return the conditions a stage asks."""
    found = [stage.when] if stage.when is not None else []
    if isinstance(stage, Choose):
        found += [way.condition for way in stage.ways if way.condition is not None]
    return [*found, stage.condition] if isinstance(stage, WaitFor) else found


def play(scene: Scene, stage: Stage) -> list[Statement]:
    """Return all statements of one batch of a stage that is no wait, in order."""
    return [clear(), take(scene, stage), *skip_unless(scene, stage), *act(scene, stage), *go_on(scene, stage)]


# --- moving -------------------------------------------------------------------------------------------------


def _flat(groups: Sequence[list[Statement]]) -> list[Statement]:
    return [statement for group in groups for statement in group]


def move(scene: Scene, to: str | None, which: ColumnElement[bool] | None, says: str) -> list[Statement]:
    """Move the cohort, or those of it for whom `which` holds, on to a stage or to the end."""
    who = select(cohort.c.enrollment_id)
    if which is not None:
        who = who.where(which)
    if to is not None:
        number = scene.version.number(to)
        values = {"step_id": number, "arrived_at": enrollment.c.due_at, "deadline_at": None}
        return [Statement(says, update(enrollment).values(values).where(enrollment.c.id.in_(who)))]
    ended = {"step_id": None, "outcome": Outcome.finished.value, "left_at": enrollment.c.due_at}
    note = traced(scene, None, Decision.finished, where=which)
    return [
        Statement(f"{says}, to the end", update(enrollment).values(ended).where(enrollment.c.id.in_(who))),
        Statement("note the end", note),
    ]


def traced(
    scene: Scene,
    stage: Stage | None,
    decision: Decision | ColumnElement[Any],
    detail: ColumnElement[Any] | None = None,
    where: ColumnElement[bool] | None = None,
) -> Insert:
    """Return what notes a decision about the cohort, or those of it for whom `where` holds."""
    query = select(
        cohort.c.customer_id,
        literal(scene.version.journey_id, BigInteger),
        cohort.c.enrollment_id,
        literal(scene.version.number(stage), BigInteger) if stage is not None else cast(null(), BigInteger),
        cohort.c.at,
        literal(decision.value) if isinstance(decision, Decision) else decision,
        detail if detail is not None else cast(null(), Json),
    )
    columns = ["customer_id", "journey_id", "enrollment_id", "step_id", "at", "decision", "detail"]
    return insert(trace).from_select(columns, query if where is None else query.where(where))


def json_object(dialect: str, **values: Any) -> ColumnElement[Any]:
    """Return a JSON object made in the database."""
    pairs = [part for name, value in values.items() for part in (literal(name, Text), value)]
    if dialect == "postgresql":
        return func.jsonb_build_object(*pairs)
    return func.json_object(*pairs)


def constant_json(scene: Scene, document: Any) -> ColumnElement[Any]:
    """Return a JSON document written into the statement."""
    text = literal(json.dumps(document, ensure_ascii=False), Text)
    return cast(text, postgresql.JSONB) if scene.dialect == "postgresql" else func.json(text)


# --- choose, split ------------------------------------------------------------------------------------------


def _choose(scene: Scene, stage: Choose) -> list[Statement]:
    conditions = [way.condition for way in stage.ways]
    found = branches(conditions, scene.moment, scene.dialect, cohort).subquery("found")
    pick = (
        update(cohort)
        .values(branch=found.c.branch)
        .where(cohort.c.enrollment_id == found.c.enrollment_id, cohort.c.note.is_(None))
    )
    return [Statement("which branch", pick), _note_ways(scene, stage, stage.ways)]


def _split(scene: Scene, stage: Split) -> list[Statement]:
    purpose = split_purpose(scene.salt, scene.version.name, scene.version.first_name(stage))
    weights = _shares(scene, stage) if stage.learn else [way.weight for way in stage.ways]
    way = way_sql(customer.c.draw, purpose, weights)
    pick = (
        update(cohort)
        .values(branch=way)
        .where(cohort.c.customer_id == customer.c.id, cohort.c.note.is_(None))
    )
    learnt = {"shares": _told(stage, weights)} if stage.learn else {}
    keep = insert_new(
        scene.dialect,
        draw,
        ["enrollment_id", "step_id", "arm"],
        select(
            cohort.c.enrollment_id,
            literal(scene.version.number(stage), BigInteger),
            _name(stage.ways),
        ).where(cohort.c.note.is_(None)),
    )
    return [
        Statement("which way", pick),
        Statement("keep the way", keep),
        _note_ways(scene, stage, stage.ways, **learnt),
    ]


def _shares(scene: Scene, stage: Split) -> tuple[int, ...]:
    """Return the present shares of a learning split, looked at once a pass; in SQL to be shown, those at the start."""
    if scene.connection is None:
        return learning.declared(stage)
    key = ("shares", stage.id)
    if key not in scene.version.memo or scene.version.memo[key][0] != scene.now:
        found = learning.shares(scene.connection, scene.version, stage, scene.salt)
        scene.version.memo[key] = scene.now, found
    shares: tuple[int, ...] = scene.version.memo[key][1]
    return shares


def _told(stage: Split, shares: Sequence[int]) -> dict[str, float]:
    return {way.name: part / learning.WHOLE for way, part in zip(stage.ways, shares, strict=True)}


def _name(ways: Sequence[Way]) -> ColumnElement[Any]:
    return case({n: way.name for n, way in enumerate(ways)}, value=cohort.c.branch, else_=literal("none"))


def _note_ways(scene: Scene, stage: Stage, ways: Sequence[Way], **more: Any) -> Statement:
    constant = {name: constant_json(scene, value) for name, value in more.items()}
    detail = json_object(scene.dialect, way=_name(ways), **constant)
    return Statement("note the way", traced(scene, stage, Decision.branch, detail, cohort.c.note.is_(None)))


# --- send ---------------------------------------------------------------------------------------------------


def _send(scene: Scene, stage: Send) -> list[Statement]:
    offers = _offers(scene, stage)
    if stage.all_channels:
        queries = [_messages(scene, stage, offers, [n]) for n in range(len(stage.channels))]
    else:
        queries = [_messages(scene, stage, offers, range(len(stage.channels)))]
    queue = [
        Statement("queue the messages", insert_new(scene.dialect, message, _MESSAGE_COLUMNS, query))
        for query in queries
    ]
    return [*queue, _note_messages(scene, stage)]


def _note_messages(scene: Scene, stage: Send | Call) -> Statement:
    had = message.c.queued_at < NOW  # an edit has put the step behind them once more
    queued = and_(message.c.state == MessageState.queued.value, ~had)
    noted = select(
        cohort.c.customer_id,
        literal(scene.version.journey_id, BigInteger),
        cohort.c.enrollment_id,
        message.c.step_id,
        cohort.c.at,
        case((queued, Decision.queued.value), else_=Decision.refused.value),
        case((had, Reason.already_queued.value), else_=message.c.reason),
        json_object(
            scene.dialect, message=message.c.id, channel=message.c.channel, template=message.c.template
        ),
    ).join(
        message,
        and_(
            message.c.enrollment_id == cohort.c.enrollment_id,
            message.c.step_id == scene.version.number(stage),
        ),
    )
    columns = ["customer_id", "journey_id", "enrollment_id", "step_id", "at", "decision", "reason", "detail"]
    note = insert(trace).from_select(columns, noted.where(cohort.c.note.is_(None)))
    return Statement("note the messages", note)


def refusal(
    category: ColumnElement[Any],
    basis: ColumnElement[Any],
    address: ColumnElement[Any],
    agreed: Any,
    listed: Any,
) -> ColumnElement[Any]:
    """Return the reason against sending to a customer on a channel as SQL, NULL where there is none.

    `agreed` and `listed` are the outer-joined rows of consent and suppression. Consent is not asked of
    transactional messages, nor are addresses that are suppressed for marketing alone. `consent` as basis wants an
    agreement; an existing customer (UWG section 7(3)) is one whose consent row says so, and who has not objected.
    """
    asked = category != "transactional"
    return case(
        (address.is_(None), Reason.no_address.value),
        (and_(listed.c.id.is_not(None), or_(asked, listed.c.purpose == "all")), Reason.suppressed.value),
        (and_(asked, agreed.c.given.is_(None)), Reason.no_consent.value),
        (and_(asked, agreed.c.given.is_(False)), Reason.unsubscribed.value),
        (and_(asked, basis != "existing_customer", agreed.c.basis != "consent"), Reason.no_consent.value),
        else_=cast(null(), Text),
    )


def _offers(scene: Scene, stage: Send) -> Any:
    """Return a subquery with, for each of the cohort, the reason against each channel (NULL: reachable)."""
    source: Any = cohort.join(customer, customer.c.id == cohort.c.customer_id)
    columns: list[ColumnElement[Any]] = []
    if len(stage.channels) > 1 and not stage.all_channels:
        columns.append(customer.c.attributes[PREFERRED_CHANNEL].as_string().label("preferred"))
    for n, channel in enumerate(stage.channels):
        address = customer.c[ADDRESS[channel]]
        agreed, listed = consent.alias(f"agreed_{n}"), suppression.alias(f"listed_{n}")
        source = source.outerjoin(
            agreed, and_(agreed.c.customer_id == customer.c.id, agreed.c.channel == channel)
        ).outerjoin(listed, suppresses(listed, channel, address))
        basis = literal(scene.version.plan.basis or "consent", Text)
        reason = refusal(literal(stage.categories[n], Text), basis, address, agreed, listed)
        columns.append(reason.label(f"reason_{n}"))
    return select(cohort, *columns).select_from(source).where(cohort.c.note.is_(None)).subquery("offers")


def _messages(scene: Scene, stage: Send, offers: Any, which: Sequence[int] | range) -> Select[Any]:
    open_ = [(offers.c[f"reason_{n}"].is_(None), n) for n in which]
    first = next(iter(which))
    liked = (
        [(and_(offers.c.preferred == stage.channels[n], fits), n) for fits, n in open_]
        if len(open_) > 1
        else []
    )
    number = case(*liked, *open_, else_=first)
    channel = case({n: stage.channels[n] for n in which}, value=number)
    category = case({n: stage.categories[n] for n in which}, value=number)
    send_by = type_coerce(offers.c.at, BigInteger) + literal(absolute(stage.valid_for), BigInteger)
    reachable = or_(*(condition for condition, _ in open_))
    reason = case(
        (~reachable, offers.c[f"reason_{first}"]),
        (offers.c.held_out, Reason.held_out.value),
        (send_by < NOW, Reason.stale.value),
        else_=cast(null(), Text),
    )
    version = scene.version
    free = and_(reason.is_(None), category != "transactional") if scene.judge is None else false()
    return select(
        literal(version.journey_id, BigInteger),
        literal(version.version_id, BigInteger),
        offers.c.enrollment_id,
        literal(version.number(stage), BigInteger),
        offers.c.customer_id,
        channel,
        literal(stage.template),
        category,
        literal(version.plan.basis, Text),
        case((reason.is_(None), MessageState.queued.value), else_=MessageState.refused.value),
        reason,
        NOW,
        offers.c.at,
        offers.c.at,
        send_by,
        literal(version.plan.priority, SmallInteger),
        case((free, NOW), else_=cast(null(), BigInteger)),
    )


_MESSAGE_COLUMNS = [
    "journey_id", "version_id", "enrollment_id", "step_id", "customer_id", "channel", "template", "category", "basis",
    "state", "reason", "queued_at", "due_at", "ready_at", "send_by",
    "priority", "reserved_at",
]  # fmt: skip


def insert_new(dialect: str, table: Table, columns: Sequence[str], query: Select[Any]) -> Executable:
    """Return an INSERT … SELECT that passes over rows that are there: nothing is ever queued or recorded twice."""
    into = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    # SQLite needs a WHERE between SELECT and ON CONFLICT to tell the two ON apart.
    return into.from_select(
        list(columns), query.where(true()), include_defaults=False
    ).on_conflict_do_nothing()


# --- set, emit ----------------------------------------------------------------------------------------------


def is_template(value: Any) -> bool:
    """Whether a value in `set` or `data` is to be rendered for each customer."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _set(scene: Scene, stage: Set) -> list[Statement]:
    plain = {name: value for name, value in stage.values if not is_template(value)}
    note = traced(
        scene, stage, Decision.set, constant_json(scene, dict(stage.values)), cohort.c.note.is_(None)
    )
    if not plain:
        return [Statement("note what was set", note)]
    added = constant_json(scene, plain)
    merged: Any = (
        customer.c.attributes.op("||")(added)
        if scene.dialect == "postgresql"
        else func.json_patch(customer.c.attributes, added)
    )
    who = select(cohort.c.customer_id).where(cohort.c.note.is_(None))
    write = update(customer).values(attributes=merged, updated_at=NOW).where(customer.c.id.in_(who))
    return [Statement("write the attributes", write), Statement("note what was set", note)]


def _emit(scene: Scene, stage: Emit) -> list[Statement]:
    note = traced(
        scene, stage, Decision.emitted, constant_json(scene, {"event": stage.event}), cohort.c.note.is_(None)
    )
    if any(is_template(value) for _, value in stage.data):
        return [Statement("note the event", note)]
    key = literal("emit:") + cast(cohort.c.enrollment_id, Text) + literal(f":{scene.version.number(stage)}")
    query = select(
        key,
        cohort.c.customer_id,
        literal(stage.event),
        cohort.c.at,
        constant_json(scene, dict(stage.data)),
        literal(f"journey:{scene.version.name}"),
        NOW,
    ).where(cohort.c.note.is_(None))
    columns = ["key", "customer_id", "name", "at", "properties", "source", "received_at"]
    record = insert_new(scene.dialect, event, columns, query)
    return [Statement("record the event", record), Statement("note the event", note)]


# --- start --------------------------------------------------------------------------------------------------


def _start(scene: Scene, stage: Start) -> list[Statement]:
    """Bring the cohort to the other journey's door; nobody comes twice by the same step of one stay."""
    runs = and_(journey.c.name == stage.journey, journey.c.version_id.is_not(None))
    mine = scene.version.number(stage)
    before = exists().where(trace.c.enrollment_id == cohort.c.enrollment_id, trace.c.step_id == mine,
                            trace.c.decision == Decision.started.value)  # fmt: skip
    query = (
        select(
            journey.c.id,
            cohort.c.customer_id,
            literal(ArrivalKind.started.value),
            cohort.c.at,
            literal(scene.version.name),
        )
        .join(journey, runs)
        .where(cohort.c.note.is_(None), ~before)
    )
    bring = insert(arrival).from_select(["journey_id", "customer_id", "kind", "at", "detail"], query)
    decision = case((exists().where(runs), Decision.started.value), else_=Decision.not_started.value)
    detail = constant_json(scene, {"journey": stage.journey})
    note = traced(scene, stage, decision, detail, and_(cohort.c.note.is_(None), ~before))
    return [Statement(f"bring them to the door of {stage.journey}", bring), Statement("note the start", note)]


# --- call ---------------------------------------------------------------------------------------------------


def _call(scene: Scene, stage: Call) -> list[Statement]:
    """Put calls in the outbox: as transactional messages, to which no consent, limit or quiet hour applies."""
    version = scene.version
    send_by = type_coerce(cohort.c.at, BigInteger) + literal(absolute(stage.valid_for), BigInteger)
    reason = case(
        (cohort.c.held_out, Reason.held_out.value),
        (send_by < NOW, Reason.stale.value),
        else_=cast(null(), Text),
    )
    query = select(
        literal(version.journey_id, BigInteger),
        literal(version.version_id, BigInteger),
        cohort.c.enrollment_id,
        literal(version.number(stage), BigInteger),
        cohort.c.customer_id,
        literal(WEBHOOK),
        literal(stage.url),
        literal(Category.transactional.value),
        cast(null(), Text),
        case((reason.is_(None), MessageState.queued.value), else_=MessageState.refused.value),
        reason,
        NOW,
        cohort.c.at,
        cohort.c.at,
        send_by,
        literal(version.plan.priority, SmallInteger),
        cast(null(), BigInteger),
    ).where(cohort.c.note.is_(None))
    queue = insert_new(scene.dialect, message, _MESSAGE_COLUMNS, query)
    return [Statement("queue the calls", queue), _note_messages(scene, stage)]
