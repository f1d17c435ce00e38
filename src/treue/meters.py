"""What this process has done since it started, counted and timed for Prometheus: its counters and histograms.

Each process has its own, and shows them at a port of its own: `treue web` and `treue up` beside the console, `treue worker`
with `--metrics`. What waits is not here: the database says that, to whichever process is asked (`insight/status.py`).
Labels are names from the workspace's files and words of ours, never anything about a customer.
"""

from __future__ import annotations

from prometheus_client import (
    GC_COLLECTOR,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

REGISTRY = CollectorRegistry()
"""Of ours alone: libraries register theirs elsewhere."""

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, that nobody asks for
ProcessCollector(registry=REGISTRY)
REGISTRY.register(GC_COLLECTOR)

_PASS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_LOOK = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60)
_CALL = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_DELAY = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 300, 900, 3600)

EVENTS = Counter(
    "treue_events_total",
    "Events taken in by HTTP, by where they come from and what became of them.",
    ["source", "status"],
    registry=REGISTRY,
)
RECEIPTS = Counter(
    "treue_receipts_total",
    "What providers and bounce mails told of messages, what they told before included.",
    ["channel", "kind"],
    registry=REGISTRY,
)
PASSES = Counter("treue_passes_total", "Passes that have ended.", ["outcome"], registry=REGISTRY)
ROUTED = Counter("treue_events_routed_total", "Events shown to the journeys.", registry=REGISTRY)
ARRIVALS = Counter(
    "treue_arrivals_total", "Arrivals dealt with at a journey's door.", ["journey"], registry=REGISTRY
)
ENTRIES = Counter("treue_entries_total", "Stays that have begun.", ["journey"], registry=REGISTRY)
MOVED = Counter(
    "treue_moved_total", "Customers acted on at a step and moved on.", ["journey", "step"], registry=REGISTRY
)
OUTCOMES = Counter(
    "treue_messages_total",
    "What became of messages each time a worker had them in hand; `queued` is to be tried again.",
    ["journey", "channel", "outcome", "reason"],
    registry=REGISTRY,
)
FAILURES = Counter(
    "treue_work_failures_total", "Failures of a journey's work.", ["journey", "work"], registry=REGISTRY
)
PASS_SECONDS = Histogram(
    "treue_pass_duration_seconds", "How long passes take.", buckets=_PASS, registry=REGISTRY
)
LOOK_SECONDS = Histogram(
    "treue_look_duration_seconds",
    "How long it takes to look whom a segment, a schedule or a day brings, and who has a reason to go on or to leave.",
    ["journey", "work"],
    buckets=_LOOK,
    registry=REGISTRY,
)
CALL_SECONDS = Histogram(
    "treue_provider_call_duration_seconds",
    "How long a channel's provider takes for what is handed to it at once.",
    ["channel"],
    buckets=_CALL,
    registry=REGISTRY,
)
DELAY_SECONDS = Histogram(
    "treue_message_delay_seconds",
    "From when a message could go (its event here, its step due, no longer held) until its provider took it at the first try.",
    ["channel"],
    buckets=_DELAY,
    registry=REGISTRY,
)
