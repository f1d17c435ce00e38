"""What is counted is counted before it is done: lists that share their parts, long texts walked again and again, deep files."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jinja2 import TemplateError

from tests.render.writing import Make, context, failed, rendered
from treue.render.problem import FINDINGS, Fault, RenderFailure
from treue.render.sandbox import audit, sandbox
from treue.render.templates.check import check_template
from treue.render.templates.compiled import TEXT, compile_part, render_here
from treue.render.templates.expressions import Expression
from treue.render.templates.names import NameSchema
from treue.render.templates.renderer import Renderer
from treue.render.templates.tags import cut, plain
from treue.workspace.files import reference_workspace

ROOT = Path(__file__).parents[2]


def shared(name: str, times: int = 45, first: str = "[1, 1]") -> str:
    """Return a list of two that are one list of two that are one … : 2**45 parts in two kilobytes."""
    steps = (f"{{% set {name}{n} = [{name}{n - 1}, {name}{n - 1}] %}}" for n in range(1, times + 1))
    return f"{{% set {name}0 = {first} %}}" + "".join(steps)


A, Z = shared("a"), shared("z")
LONG = "{% set t = '" + "x" * 90_000 + "' %}"
HAY = "{% set t = '" + "a" * 29_000 + "' %}"


def again(body: str) -> str:
    """Return a body done ten thousand times."""
    return "{% for i in range(1000) %}{% for j in range(9) %}" + body + "{% endfor %}{% endfor %}"


SHARED = [
    "{% if a45 == z45 %}x{% endif %}", "{% if a45 != z45 %}x{% endif %}", "{% if a45 < z45 %}x{% endif %}",
    "{% if a45 >= z45 %}x{% endif %}", "{% if 1 < 2 and a45 == z45 == a45 %}x{% endif %}",
    "{% if a45 in [z45] %}x{% endif %}", "{% if a45 not in [z45] %}x{% endif %}", "{% if a45 is in([z45]) %}x{% endif %}",
    "{% if a45 is eq(z45) %}x{% endif %}", "{% if a45 is lt(z45) %}x{% endif %}", "{{ [a45, z45] | sort | length }}",
    "{% for x in [1] if a45 == z45 %}x{% endfor %}", "{{ 'x' if a45 == z45 else 'y' }}", "{{ a45 | join }}",
    "{{ 'x' | replace('x', a45) }}", "{{ a45 | replace('x', 'y') }}", "{{ a45 ~ '' }}", "{{ a45 }}", "{{ a45 | round }}",
    "{{ a45 | number }}", "{{ a45 | money }}", "{{ 1 | money(a45) }}", "{{ a45 | date }}", "{{ 'https://a.example' | utm(source=a45) }}",
    "{{ customer[a45] }}", "{{ orders | sort(attribute=a45) | length }}", "{{ a45[1:] == a45[:1] }}", "{{ a45 + a45 }}",
]  # fmt: skip


@pytest.mark.parametrize("use", SHARED)
def test_lists_that_share_their_parts_weigh_what_they_would_written_out(make: Make, use: str) -> None:
    result = failed(make({"x/sms.txt": A + Z + use}).render("sms", "x", context()))
    assert (result.code, result.line) == ("too-much", 1)
    assert "stopped" not in result.message  # counted, not timed


@pytest.mark.parametrize("use", SHARED)
@pytest.mark.parametrize("levels", [1, 3])
def test_what_such_lists_are_used_for_is_judged_by_itself_where_they_are_small(
    make: Make, use: str, levels: int
) -> None:
    small = shared("a", levels) + shared("z", levels) + use.replace("45", str(levels))
    result = make({"x/sms.txt": small}).render("sms", "x", context())
    if isinstance(result, RenderFailure):
        assert result.code in ("wrong-type", "empty")


WALKS = [
    LONG + again("{{ t | replace('x', '') }}"), LONG + again("{% if t | upper %}{% endif %}"), LONG + again("{{ t | truncate(1) }}"),
    LONG + again("{% if t | urlencode %}{% endif %}"), LONG + again("{% if t[::2] %}{% endif %}"),
    LONG + "{% set u = t ~ '' %}" + again("{% if t == u %}{% endif %}"),
    LONG + "{% if " + " ~ ".join(["t"] * 3000) + " %}{% endif %}",
    HAY + again("{% if '" + "a" * 98 + "b' in t %}{% endif %}"), HAY + again("{% if t | replace('" + "a" * 98 + "b', '') %}{% endif %}"),
    "{% set t = 'https://a.example/?" + "a=&" * 20_000 + "' %}" + "{% if t | utm %}{% endif %}" * 900,
    again("{% if '5' in range(1000) %}{% endif %}"), again("{{ range(1000) | sort | length }}"), again("{% if range(1000) | join %}{% endif %}"),
    again("{% if [orders, orders] == [orders, orders] %}{% endif %}"), "{% set t = range(1000) %}" + again("{% if t[::-1][::-1] %}{% endif %}"),
    "{{ orders | join('', attribute='" + "a." * 50_000 + "') }}", again("{{ orders | join('', attribute='" + "a." * 90 + "') }}"),
    "{{ orders | sort(attribute='" + "a" * 200_000 + "') | length }}",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(WALKS)))
def test_what_is_looked_through_again_and_again_is_counted_each_time(make: Make, number: int) -> None:
    result = failed(make({"x/sms.txt": WALKS[number]}).render("sms", "x", context()))
    assert result.code == "too-much"
    assert "stopped" not in result.message


@pytest.mark.parametrize(
    "source",
    ["{{ '1e-999999999' | number }}", "{{ '1e-999999999' | number(2) }}", "{{ '1e-99999999' | money }}", "{{ '1e-999999999' | round(2) }}"],
)  # fmt: skip
def test_a_number_too_small_to_matter_is_nothing(make: Make, source: str) -> None:
    text = rendered(make({"x/sms.txt": source}).render("sms", "x", context())).text
    assert text.replace("€", "").strip() in ("0", "0.0", "0,00")


def test_a_name_that_is_missed_does_not_grow(make: Make) -> None:
    steps = (f"{{% set m{n} = m{n - 1}['{'k' * 60}'] %}}" for n in range(1, 2000))
    source = "{% set m0 = event.none %}" + "".join(steps) + "{{ m1999 }}"
    result = failed(make({"x/sms.txt": source}, schema=None).render("sms", "x", context()))
    assert result.code == "missing-value"
    assert len(result.message) < 500


@pytest.mark.parametrize("name", ["treue_json", "treue_url", "treue_each", "treue_list"])
def test_a_filter_of_our_own_is_none_of_the_author_s(make: Make, name: str) -> None:
    renderer = make(
        {"x/sms.txt": f"{{% set a = [1] %}}\n{{{{ a | {name} }}}}", "x/push.txt": f"{{{{ 'a|{name}' }}}}"}
    )
    (problem,) = [one for one in check_template(renderer, "x") if one.file.endswith("sms.txt")]
    assert (problem.line, problem.column, problem.code) == (2, 8, "T403")
    assert rendered(renderer.render("push", "x", context())).text == f"a|{name}"


# --- Which templates delivery may render by itself ---------------------------------------------------------------------


def bounded(source: str) -> bool:
    return audit.bounded(audit.walk(TEXT.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "Dear {{ customer.first_name | default('you') | title }}", "{{ customer.a ~ ' ' ~ customer.b }}",
        "{% for one in event['items'] %}{{ one.name }} {{ one.price | money }}{% endfor %}",
        "{% if event.currency in ['EUR', 'CHF'] %}x{% endif %}", "{% set n = customer.a ~ customer.b %}{{ n | upper }}",
        "{% for n in [1, 2, 3] %}{{ n }}{% endfor %}", "{{ orders | sort(attribute='total') | join(', ', attribute='name') }}",
        "{% set total = event.total | default(0) %}{% if total > 10 and total == event.total %}{{ total * 2 }}{% endif %}",
    ],
)  # fmt: skip
def test_a_template_of_data_and_constants_is_proven(source: str) -> None:
    assert bounded(source)


@pytest.mark.parametrize(
    "source",
    [
        "{% set a = [1, event] %}", "{% set a = (event, event) %}", "{% set a = 'x' %}{% set b = a ~ a %}", "{% set a = 'x' %}{{ a + a }}",
        "{% with a = 'x' %}{{ a ~ a }}{% endwith %}", "{% set a, b = event.x %}{{ a ~ b }}", "{% set a = 'x' %}{{ 'y' | replace('y', a) }}",
        "{{ event.x[1:] }}", "{% set a = 'x' %}{{ [1, 2] | join(a) }}", "{{ a }}" * 3000,
        "{% for a in x %}{% for b in a %}{% for c in b %}{% endfor %}{% endfor %}{% endfor %}",
    ],
)  # fmt: skip
def test_a_template_that_builds_values_out_of_values_is_not(source: str) -> None:
    assert not bounded(source)


@pytest.mark.parametrize("folder", [reference_workspace(), ROOT / "benchmarks" / "mailing"])
def test_what_ships_is_proven_so_that_delivery_is_as_fast_as_ever(folder: Path) -> None:
    renderer, parts = Renderer(folder / "templates"), []
    for name in sorted(path.name for path in (folder / "templates").iterdir() if path.name != "_layout"):
        renderer.problems(name)
        parts += [part for one in renderer._entries[name].compiled.values() for part in one.parts()]
    assert len([part for part in parts if part.template]) >= 2
    assert [part.file for part in parts if part.template and part.code] == []


# --- Files that are hard to read ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [60, 400, 4000])
def test_conditions_in_conditions_are_refused_where_they_are_too_deep(make: Make, times: int) -> None:
    renderer = make({"x/sms.txt": "{% if 1 %}\n" * times + "x" + "{% endif %}" * times})
    (problem,) = check_template(renderer, "x")
    assert (problem.code, problem.message) == ("T401", "This is nested too deeply.")
    assert 20 < problem.line < 400


def test_a_file_of_nothing_but_mistakes_tells_the_first_of_them(make: Make) -> None:
    renderer = make({"x/sms.txt": "".join(f"{{{{ name_{n} }}}}\n" for n in range(3000))})
    problems = check_template(renderer, "x")
    assert len(problems) == FINDINGS
    assert [one.line for one in problems] == list(range(1, FINDINGS + 1))


def test_a_file_of_nothing_but_tags_is_not_even_parsed(make: Make) -> None:
    (problem,) = check_template(make({"x/sms.txt": "{{ 1 }}\n" * (audit.TAGS + 1)}), "x")
    assert (problem.line, problem.message) == (audit.TAGS + 1, "This template has too many tags.")


DEEP = 20_000
CRASHES = {
    "email.html": f"<html><body>{'<div>' * DEEP}{'</div>' * DEEP}</body></html>",
    "email.de.html": f"<html><body>{'<table><tr><td>' * 9000}</body></html>",
    "email.fr.mjml": f"<mjml><mj-body>{'<mj-wrapper>' * 9000}{'</mj-wrapper>' * 9000}</mj-body></mjml>",
}


@pytest.mark.parametrize("name", CRASHES)
def test_markup_that_would_bring_the_process_down_is_a_problem(make: Make, name: str) -> None:
    renderer = make({f"x/{name}": f"---\nsubject: s\n---\n{CRASHES[name]}", "x/sms.txt": "x"})
    (problem,) = [one for one in renderer.problems("x") if one.file.endswith(name)]
    assert (problem.line, problem.code) == (4, "T401")
    assert problem.message.endswith("cannot be compiled: it is nested too deeply, or too large.")
    assert rendered(renderer.render("sms", "x", context())).text == "x"


# --- Any template ------------------------------------------------------------------------------------------------------


ENDS = (
    Fault,
    TemplateError,
    ArithmeticError,
    TypeError,
    ValueError,
    LookupError,
    RecursionError,
    AttributeError,
)
"""What a rendering may raise."""


class _Watched(list[Any]):
    """A list that counts how often its parts are looked at."""

    looks = 0

    def _look(self) -> None:
        _Watched.looks += 1 + len(self)
        assert _Watched.looks < 3 * sandbox.WORK, "more was looked at than was paid for"

    def __eq__(self, other: object) -> bool:
        self._look()
        return super().__eq__(other)

    def __lt__(self, other: list[Any]) -> bool:
        self._look()
        return super().__lt__(other)

    def __contains__(self, item: object) -> bool:
        self._look()
        return super().__contains__(item)

    def __iter__(self) -> Iterator[Any]:
        self._look()
        return super().__iter__()

    def __repr__(self) -> str:
        self._look()
        return super().__repr__()

    __hash__ = None


class _Author:
    """Writes random templates that do as much as they can with what they have made so far."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.lists = ["event['items']", "orders", "range(9)"]
        self.texts = ["customer.first_name", "'ab'", "event.currency"]

    def pick(self, *forms: str) -> str:
        """Return a form with its letters filled in: l a list, t a text, n a number, v any value, o a comparison."""
        form = self.draw.choice(forms)
        made = {"l": self.list, "t": self.text, "n": self.number, "v": self.value, "o": self.operator}
        return "".join(made[part[1]]() if part.startswith("@") else part for part in re.split(r"(@\w)", form))

    def value(self) -> str:
        return self.draw.choice([self.list, self.list, self.text, self.number, self.truth])()

    def operator(self) -> str:
        return self.draw.choice(["==", "!=", "==", "<", ">="])

    def truth(self) -> str:
        return self.pick("(@l @o @l)", "(@l @o @l)", "(@v in @l)", "(@v not in @l)", "(@t @o @t)", "(@t in @t)", "(@l is eq(@l))", "(@l is in(@l))",
                         "(@t is lt(@t))", "(@l == @l == @l)")  # fmt: skip

    def list(self) -> str:
        if self.draw.random() < 0.6:
            return self.draw.choice(self.lists)
        return self.pick(
            "[@v, @v]",
            "(@l, @l)",
            "@l[1:]",
            "@l[::-1]",
            "(range(9) | sort)",
            "(@l if @v else @l)",
            "(@l | default(@v))",
        )

    def text(self) -> str:
        if self.draw.random() < 0.6:
            return self.draw.choice(self.texts)
        return self.pick("(@t ~ @t)", "(@t + @t)", "(@t | upper)", "(@t | replace(@t, @t))", "([@t, @t] | join(@t))", "@t[:9]", "(@t | truncate(5))",
                         "(@t | urlencode)", "(@t | utm(source=@t))", "(@n | money)", "(@n | number)", "(range(9) | join(@t))")  # fmt: skip

    def number(self) -> str:
        return self.pick(
            "1", "7", "(@l | length)", "(@t | int)", "(@t | length)", "(@l | length + 1)", "(2 | round)"
        )

    def template(self) -> str:
        lines = [*self.twins(self.draw.randrange(2, 40))]
        for n in range(self.draw.randrange(1, 9)):
            kind = self.draw.choice(["list", "text"])
            lines.append(f"{{% set {kind}{n} = {getattr(self, kind)()} %}}")
            (self.lists if kind == "list" else self.texts).append(f"{kind}{n}")
        body = "".join(f"{{% if {self.truth()} %}}x{{% endif %}}" for _ in range(3))
        if self.draw.random() < 0.3:
            body = f"{{% for l in {self.list()} %}}{body}{{% endfor %}}"
        return "".join([*lines, body, f"{{{{ {self.value()} }}}}"])

    def twins(self, levels: int) -> Iterator[str]:
        """Make two values that are equal all the way down and the same nowhere, and a text that doubles."""
        forms = [self.draw.choice(["[@, @]", "(@, @)", "[@, 1, @]", "@"]) for _ in range(levels)]
        for name in ("a", "z"):
            yield f"{{% set {name} = [{self.draw.choice(['1', '1', 'orders'])}] %}}"
            yield from (f"{{% set {name} = {form.replace('@', name)} %}}" for form in forms)
        yield "{% set t = 'ab' %}" + "{% set t = t ~ t %}" * (levels // 2)
        self.lists += ["a", "z"] * 3
        self.texts.append("t")


def _small(text: str) -> str:
    return text if len(text) < 300 else text[:297] + "…"


@pytest.mark.parametrize("seed", range(150))
def test_no_template_looks_at_more_than_it_paid_for(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _Author(seed).template()
    pieces, _ = cut(source, "")
    part, problems = compile_part(plain(pieces), "", NameSchema().parts())
    assert problems == [], _small(source)
    listed = sandbox.listed
    monkeypatch.setitem(TEXT.filters, "treue_list", _watching(listed))
    monkeypatch.setattr(_Watched, "looks", 0)
    state = sandbox.State(("en",), "UTC", "sms")
    assert part.template is not None
    with suppress(*ENDS):
        render_here(part.template, {**context(), "range": sandbox.bounded_range, sandbox.STATE: state})
    assert _Watched.looks <= 3 * (sandbox.WORK - max(state.work, 0)) + 1000, _small(source)


def _watching(listed: Any) -> Any:
    def made(*values: Any) -> _Watched:
        return _Watched(listed(*values))

    made.jinja_pass_arg = listed.jinja_pass_arg  # type: ignore[attr-defined]
    return made


def test_a_value_of_a_step_is_bounded_as_a_message_is() -> None:
    who = {
        "customer": {"first_name": "Ada"},
        "event": {},
        "journey": {},
        "now": datetime(2026, 3, 1, tzinfo=UTC),
    }
    assert Expression.of(A + Z + "{{ a45 == z45 }}").text(who) is None
    assert Expression.of("{% set a = [customer.first_name, 'x'] %}{{ a | join('-') }}").text(who) == "Ada-x"
