"""Whatever stands in a template and whatever the data are: a rendering has an outcome, and never raises."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.render.writing import SCHEMA, Make, context
from treue.render.problem import RenderFailure
from treue.render.sandbox import confinement
from treue.render.templates.check import check_template
from treue.render.templates.renderer import Rendered, Renderer

FILTERS = (
    "upper", "lower", "title", "capitalize", "trim", "replace('a', 'b')", "truncate(5)", "urlencode", "default('x')", "length",
    "first", "last", "join(', ')", "join(attribute='name')", "sort", "sort(attribute='price')", "round", "round(2)", "int", "float",
    "money", "money(event.currency)", "date", "date('d. MMMM')", "number", "number(3)", "utm", "utm(campaign=event.total)", "e",
)  # fmt: skip
VALUES = (
    "customer.first_name", "customer.points_total", "customer.birthday", "customer.locale", "event.total", "event['items']",
    "event['items'][0].name", "event['items'][-1]", "orders", "orders[0].total", "data.x", "now", "now.year", "links.view", "journey",
    "'a'", "1", "2.5", "[1, 'b', customer.first_name]", "none", "range(3)", "missing", "customer", "loop.index", "(1 / 0)",
)  # fmt: skip
LITERALS = ("Hi ", "\n", "<p>", "</p>", '<a href="', '">', "<p title='", "'>", "}}", "{{", "{%", "%}", "<", "\x00", "ß", "{#", "#}", "---")  # fmt: skip
EXPRESSIONS = st.builds(
    lambda value, chain, end: " | ".join([value, *chain]) + end,
    st.sampled_from(VALUES),
    st.lists(st.sampled_from(FILTERS), max_size=3),
    st.sampled_from(("", "", "", "[0]", "[1:]", ".name", " ~ 'x'", " + 1", " * 99999999", " > 3", " in 'abc'", " is odd", " % 0")),
)  # fmt: skip
PIECES = st.one_of(
    st.sampled_from(LITERALS),
    EXPRESSIONS.map(lambda one: f"{{{{ {one} }}}}"),
    EXPRESSIONS.map(lambda one: f"{{% if {one} %}}yes{{% else %}}no{{% endif %}}"),
    EXPRESSIONS.map(lambda one: f"{{% for x in {one} %}}{{{{ x }}}}{{% endfor %}}"),
    EXPRESSIONS.map(lambda one: f"{{% set y = {one} %}}{{{{ y }}}}"),
    st.sampled_from(("{% if 1 %}", "{% endif %}", "{% for x in orders %}", "{% endfor %}", "{% include 'x' %}", "{{ x")),
)  # fmt: skip
SOURCES = st.lists(PIECES, min_size=1, max_size=6).map("".join)
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.text("\ud800\x00<&\"'{", max_size=4),
    st.dates(), st.datetimes(timezones=st.just(UTC)), st.decimals(), st.just(date(9999, 12, 31)), st.just(Decimal("1e999")),
    st.just(datetime(1, 1, 1, tzinfo=UTC)), st.just("9999-12-31"), st.just("0001-01-01T00:00:00Z"),
)  # fmt: skip
DATA = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "price", "x"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(SOURCES, SOURCES, st.lists(DATA, min_size=8, max_size=8))
def test_a_rendering_has_an_outcome_whatever_the_template_and_the_data(
    subject: str, source: str, values: list[Any]
) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "x").mkdir()
        page = f"---\nsubject: |-\n  {subject}\n---\n<html><body>{source}</body></html>"
        for name, text in (("sms.txt", source), ("email.html", page)):
            (root / "x" / name).write_text(text, encoding="utf-8", errors="replace")
        renderer = Renderer(root, locale="de", timezone="Europe/Berlin", schema=SCHEMA)
        for one in check_template(renderer, "x"):
            assert one.message
        first_name, points, birthday, locale, total, items, orders, extra = values
        given_ = context(data={"x": extra}, orders=orders)
        given_["customer"] |= {
            "first_name": first_name,
            "points_total": points,
            "birthday": birthday,
            "locale": locale,
        }
        given_["event"] |= {"total": total, "items": items}
        for channel in ("sms", "email", "push"):
            found = renderer.render(channel, "x", given_)
            assert isinstance(found, Rendered | RenderFailure)
            assert not isinstance(found, RenderFailure) or found.code != "unavailable"


def test_what_is_nobodys_fault_is_an_outcome_of_its_own(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = make({"x/sms.txt": "{% set a = [customer.first_name] %}{{ a[0] }}"})
    confinement._end()
    monkeypatch.setattr(confinement.sys, "executable", "/nowhere/python")  # type: ignore[attr-defined]
    found = renderer.render("sms", "x", context())
    assert isinstance(found, RenderFailure)
    assert (found.code, "cannot be started" in found.message) == ("unavailable", True)
