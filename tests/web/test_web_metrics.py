"""/metrics as Prometheus reads it: true numbers, few labels, nothing of a customer, and what deploy/ names exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.web.serving import ROOT, Site
from treue.engine.passes.chronology import run_pass

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
PROMETHEUS = ROOT / "deploy/prometheus"
LABELS = {
    "journey",
    "step",
    "work",
    "channel",
    "reason",
    "outcome",
    "source",
    "status",
    "kind",
    "le",
    "generation",
}


def text(site: Site) -> str:
    return site.client.get("/metrics").text


def samples(site: Site) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found = text_string_to_metric_families(text(site))
    return {
        (one.name, frozenset(one.labels.items())): one.value for family in found for one in family.samples
    }


def grown(before: Mapping[Any, float], after: Mapping[Any, float], name: str, **labels: str) -> float:
    """Return by how much a counter has grown, over all samples with these labels."""
    return sum(
        value - before.get(key, 0)
        for key, value in after.items()
        if key[0] == name and labels.items() <= dict(key[1]).items()
    )


def live(site: Site) -> None:
    """Let three customers order, one of them without consent, and one order come twice."""
    for name in ("ada", "bob", "eve"):
        consent = {"email": {"source": "form"}} if name != "eve" else None
        site.post("/v1/customers", {"id": name, "email": f"{name}@example.com", "consent": consent})
    orders = [
        {"id": name, "customer": name, "event": "order.placed"} for name in ("ada", "bob", "eve", "eve")
    ]
    for order in orders:
        site.post("/v1/events", order)
    run_pass(site.assembly.engine, site.now)


def test_what_happens_is_counted_and_timed(world: Site) -> None:
    before = samples(world)
    live(world)
    after = samples(world)

    def more(name: str, **labels: str) -> float:
        return grown(before, after, name, **labels)

    with world.assembly.store.reading() as connection:
        from treue.store.journey_counts import journey_counts

        counts = journey_counts(connection)
    sent = sum(sum(one.sent.values()) for one in counts.values())
    assert more("treue_events_total", source="api", status="accepted") == 3
    assert more("treue_events_total", source="api", status="duplicate") == 1
    assert more("treue_events_routed_total") >= 3
    for name, one in counts.items():
        assert more("treue_entries_total", journey=name) == one.entered
    assert more("treue_arrivals_total", journey="welcome") == 3
    assert more("treue_moved_total", journey="welcome", step="thank-you") == counts["welcome"].entered
    assert sent > 0
    assert more("treue_messages_total", outcome="sent") == sent
    assert more("treue_channel_sent_total", channel="email") == sent
    assert more("treue_passes_total", outcome="succeeded") == 1
    assert more("treue_pass_duration_seconds_count") == 1
    assert more("treue_look_duration_seconds_count", journey="win-back", work="segment") == 0
    assert more("treue_provider_call_duration_seconds_count", channel="email") >= 1
    assert more("treue_message_delay_seconds_count", channel="email") == sent
    assert after["treue_last_pass_timestamp_seconds", frozenset()] >= world.now.timestamp()
    world.now += timedelta(days=1)
    run_pass(world.assembly.engine, world.now)
    looks = grown(
        after, samples(world), "treue_look_duration_seconds_count", journey="win-back", work="segment"
    )
    assert looks == 1, "that of the night"


def test_labels_are_few_and_say_nothing_of_customers(world: Site) -> None:
    live(world)
    shown = text(world)
    found = {
        name
        for family in text_string_to_metric_families(shown)
        for one in family.samples
        for name in one.labels
    }
    assert found <= LABELS
    assert not re.search(r"ada|bob|eve\b|example\.com", shown)


@needs_promtool
def test_prometheus_own_tool_finds_nothing_to_mend(world: Site) -> None:
    live(world)
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=text(world), capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_all_that_the_dashboard_and_the_alerts_ask_for_is_there(world: Site) -> None:
    families = re.findall(r"^# TYPE (\S+) (\S+)$", text(world), re.MULTILINE)
    there = {name for name, _ in families}
    there |= {
        name + end for name, kind in families if kind == "histogram" for end in ("_bucket", "_sum", "_count")
    }
    board = json.loads((ROOT / "deploy/grafana/treue.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for rule in rules()]
    named = {name for one in asked for name in re.findall(r"\btreue_[a-z_]+", one)}
    assert len(named) > 20
    assert named - there == set()
    assert {name for name, _ in families if name.startswith("treue_")} - {
        re.sub("_(bucket|sum|count)$", "", name) for name in named
    } <= {"treue_outbox_ready", "treue_channel_failures", "treue_moved_total", "treue_passes_total"}, (
        "nobody looks at it"
    )


def test_each_alert_says_what_is_wrong_and_where_it_stands_what_to_do() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    anchors = {heading.lower() for heading in re.findall(r"^#+ (\w+)$", page, re.MULTILINE)}
    for rule in rules():
        notes = rule["annotations"]
        assert notes["summary"].endswith(".")
        assert notes["description"].endswith(".")
        file, _, anchor = notes["runbook"].partition("#")
        assert (file, anchor in anchors) == ("docs/operations.md", True), rule["alert"]


def test_every_alert_is_tested() -> None:
    tested = {one["name"] for one in yaml.safe_load((PROMETHEUS / "alerts_test.yaml").read_text())["tests"]}
    assert tested - {"all is well"} == {rule["alert"] for rule in rules()}


@needs_promtool
@pytest.mark.parametrize("check", [("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml")])
def test_the_alerts_fire_where_they_should(check: tuple[str, ...]) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *check], cwd=PROMETHEUS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found
