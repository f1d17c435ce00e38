"""/metrics: how things stand, asked of the database, and what this process has done, in Prometheus' text format.

Every web of a workspace gives the same answer to the first, so over several of them it is taken by `max`; the second
is each process's own, and is summed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from treue import meters
from treue.insight.channels import ChannelSums
from treue.insight.status import Standing
from treue.web.guard import KEYLESS, has_key
from treue.web.problems import HttpProblem, response

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_NOTHING_THERE = HttpProblem(404, "There is nothing here but /metrics.")


def metrics(standing: Standing, sums: Mapping[str, ChannelSums]) -> bytes:
    """Return how things stand and what this process has done."""
    asked = CollectorRegistry()
    asked.register(_Told(standing, sums))
    return generate_latest(asked) + process_metrics()


def process_metrics() -> bytes:
    """Return what this process has done since it started."""
    return generate_latest(meters.REGISTRY)


def process_app(key: str) -> ASGIApp:
    """Return what shows a worker's own numbers at /metrics, and nothing else, to whoever has the API key."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if not has_key(Headers(scope=scope), key):
            answer = response(KEYLESS)
        elif scope["path"] != "/metrics" or scope["method"] not in ("GET", "HEAD"):
            answer = response(_NOTHING_THERE)
        else:
            answer = Response(process_metrics(), media_type=MEDIA_TYPE)
        await answer(scope, receive, send)

    return app


class _Told(Collector):
    """How things stand at one instant, as Prometheus' families of samples."""

    def __init__(self, standing: Standing, sums: Mapping[str, ChannelSums]) -> None:
        self._standing, self._sums = standing, sums

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        yield from self._health()
        yield from self._journeys()
        yield from self._outbox()
        yield from self._channels()
        found = self._standing
        yield GaugeMetricFamily("treue_events_unrouted", "Events no journey has seen yet.", found.unrouted)
        text = "Events set aside: their id was used before for another content."
        yield GaugeMetricFamily("treue_events_set_aside", text, found.set_aside)

    def _health(self) -> Iterator[Metric]:
        health = self._standing.health
        yield GaugeMetricFamily(
            "treue_healthy", "Whether all is well, as treue status --health says.", health.well
        )
        last = health.passes.succeeded_at if health.passes else None
        text = "When the last pass that succeeded ended; 0 where none ever did."
        yield GaugeMetricFamily("treue_last_pass_timestamp_seconds", text, last.timestamp() if last else 0.0)
        every = health.passes.every.total_seconds() if health.passes else 0.0
        yield GaugeMetricFamily("treue_pass_interval_seconds", "How far apart passes are.", every)
        failures = health.passes.failures if health.passes else 0
        yield GaugeMetricFamily("treue_passes_failed", "Passes that failed in a row since.", failures)
        work = ((one.journey, one.work, one.times) for one in health.failing)
        text = "How often in a row some work of a journey has failed."
        yield _gauge("treue_journey_failing", text, ("journey", "work"), work)

    def _journeys(self) -> Iterator[Metric]:
        found, due = self._standing, self._standing.due_in
        for name, text, key in (
            ("journey_inside", "Customers inside a journey.", "inside"),
            ("messages_failed", "Messages that could not be sent and wait for an operator.", "failed"),
            ("messages_in_doubt", "Messages that may or may not have been sent.", "in_doubt"),
        ):
            numbers = ((journey, getattr(counts, key)) for journey, counts in found.open.items())
            yield _gauge(f"treue_{name}", text, ("journey",), numbers)
        text = "Customers who had joined or left a journey's segment unnoticed, as the last look over everybody found: 0, or a fault."
        missed = ((journey, found.repaired.get(journey, 0)) for journey in found.open)
        yield _gauge("treue_segment_repaired", text, ("journey",), missed)
        people = ((journey, due.get(journey, 0)) for journey in found.open)
        yield _gauge("treue_journey_due", "Customers whose step is due.", ("journey",), people)
        late = ((one.journey, one.step, one.late) for one in found.health.late)
        text = "Customers who are due at a step for too long."
        yield _gauge("treue_journey_late", text, ("journey", "step"), late)

    def _outbox(self) -> Iterator[Metric]:
        at, box = self._standing.at, self._standing.outbox
        ready = ((channel, one.messages) for channel, one in box.ready_on.items())
        yield _gauge("treue_outbox_ready", "Messages ready to go.", ("channel",), ready)
        ages = ((channel, (at - one.since).total_seconds()) for channel, one in box.ready_on.items())
        text = "For how long the oldest message that is ready has been so."
        yield _gauge("treue_outbox_oldest_seconds", text, ("channel",), ages)
        held = ((reason, number) for reason, (number, _) in box.held.items())
        text = "Messages that limits or quiet hours hold."
        yield _gauge("treue_outbox_held", text, ("reason",), held)
        silent = ((channel, (at - since).total_seconds()) for channel, since in box.silent.items())
        text = "For how long a channel has taken nothing although messages are ready and nothing speaks against sending."
        yield _gauge("treue_channel_silent_seconds", text, ("channel",), silent)

    def _channels(self) -> Iterator[Metric]:
        held = self._standing.channels
        failures = ((channel, one.failures) for channel, one in held.items())
        text = "A channel's failures in a row, while something keeps it from sending."
        yield _gauge("treue_channel_failures", text, ("channel",), failures)
        grave = ((channel, one.grave) for channel, one in held.items())
        yield _gauge(
            "treue_channel_grave", "Whether an operator has to act for a channel.", ("channel",), grave
        )
        for name, text in (
            ("sent", "Messages a channel's provider took, by whichever process."),
            ("bounced", "Addresses that turned out to be dead."),
            ("complained", "Complaints about messages."),
        ):
            family = CounterMetricFamily(f"treue_channel_{name}", text, labels=["channel"])
            for channel, sums in self._sums.items():
                family.add_metric([channel], getattr(sums, name))
            yield family


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: Iterator[tuple[object, ...]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for *values, number in samples:
        family.add_metric([str(value) for value in values], float(number))  # type: ignore[arg-type]
    return family
