"""What a template cannot do: get out, or use up the machine. Aims of S1 and S2: 60 escapes, 25 bombs."""

from __future__ import annotations

import os
import tracemalloc

import pytest

from tests.render.writing import Make, context, failed, rendered
from treue.render.problem import RenderFailure

CANARY = "TREUE_CANARY_SECRET"

ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ ''['__cl' ~ 'ass__'] }}",
    "{{ customer['__class__'] }}",
    "{{ customer['__cl' ~ 'ass__'] }}",
    "{{ customer.__class__.__mro__[1].__subclasses__() }}",
    "{{ [].__class__.__base__.__subclasses__() }}",
    "{{ ()|attr('__class__') }}",
    "{{ customer|attr('__init__') }}",
    "{{ customer|attr('__init__')|attr('__globals__') }}",
    "{{ [customer]|map(attribute='__class__')|list }}",
    "{{ [customer]|map('attr', '__class__')|list }}",
    "{{ [customer]|selectattr('__class__')|list }}",
    "{{ [customer]|groupby('__class__') }}",
    "{{ [customer]|sum('__class__') }}",
    "{{ [customer]|sort(attribute='__class__') }}",
    "{{ [customer]|join('', attribute='__class__') }}",
    "{{ [customer]|sort(attribute='__class__.__mro__')|first|replace('a', 'b') }}",
    "{{ '{0.__class__}'.format(customer) }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(customer) }}",
    "{{ '%s' % customer }}",
    "{{ '%(x)s'|format(x=customer) }}",
    "{{ '{0.__class__}'|attr('format')(customer) }}",
    "{% set f = '{0.__class__}'.format %}{{ f(customer) }}",
    "{{ 'x'.format_map(customer) }}",
    "{{ lipsum.__globals__ }}",
    "{{ lipsum.__globals__['os'].environ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{% set n = namespace(x=1) %}{{ n.__class__ }}",
    "{{ dict.__class__ }}",
    "{{ dict(a=1) }}",
    "{{ range.__class__ }}",
    "{{ range.__init__.__globals__ }}",
    "{{ range }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ self }}",
    "{{ loop }}",
    "{% for x in [1] %}{{ loop }}{% endfor %}",
    "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
    "{% for x in [1] %}{{ loop._iterator.gi_frame }}{% endfor %}",
    "{% for x in [1] %}{{ loop.cycle.__func__ }}{% endfor %}",
    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{% macro m() %}x{% endmacro %}{{ m.__code__ }}",
    "{% macro m() %}{{ caller.__globals__ }}{% endmacro %}{% call m() %}{% endcall %}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os.environ }}",
    "{% from 'os' import environ %}{{ environ }}",
    "{% extends '/etc/passwd' %}",
    "{% block x %}{{ super.__class__ }}{% endblock %}",
    "{% filter upper %}{{ customer.__class__ }}{% endfilter %}",
    "{% set x %}{{ customer.__class__ }}{% endset %}{{ x }}",
    "{% autoescape false %}{{ '<b>' }}{% endautoescape %}",
    "{{ '<b>'|safe }}",
    "{{ customer|tojson }}",
    "{{ customer|pprint }}",
    "{{ customer|list }}",
    "{{ customer|items }}",
    "{{ customer.items() }}",
    "{{ customer.get('id') }}",
    "{{ customer.update({'id': 1}) }}",
    "{{ customer.pop('id') }}",
    "{{ event['items'].append(1) }}",
    "{{ now.__reduce__() }}",
    "{{ now.strftime('%s') }}",
    "{{ now.tzinfo.__class__ }}",
    "{{ customer.first_name.upper() }}",
    "{{ customer.first_name.encode() }}",
    "{{ config }}",
    "{{ request.application.__globals__ }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ url_for.__globals__ }}",
    "{{ environ }}",
    "{{ __builtins__ }}",
    "{{ _ }}",
    "{{ customer is sameas customer }}{{ customer is callable }}",
    "{{ customer|default(customer) }}",
    "{{ customer.first_name|default(range) ~ range }}",
    "{% set customer = 1 %}{{ customer }}",
    "{% set range = 1 %}{{ range }}",
    "{% set x = range %}{{ x.__self__ }}",
    "{{ customer.first_name|replace(*['a', 'b']) }}",
    "{{ customer.first_name|money(**{'currency': 'EUR'}) }}",
    "{{ {'a': 1}.__class__ }}",
    "{% debug %}",
    "{% do customer.clear() %}",
    "{% trans %}x{% endtrans %}",
    "{{ 1 if customer.__len__ else 2 }}",
    "{{ customer.first_name[customer.__class__] }}",
    "{{ 'treue state' }}{{ customer['treue state'] }}",
]


@pytest.mark.parametrize("source", ESCAPES)
@pytest.mark.parametrize("channel", ["sms", "email"])
def test_an_escape_ends_in_a_failure_and_shows_nothing_of_python(
    make: Make, source: str, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CANARY, "leaked-value")
    assert os.environ[CANARY] == "leaked-value"
    file = "sms.txt" if channel == "sms" else "email.html"
    renderer = make({f"x/{file}": f"---\nsubject: s\n---\n<html><body>{source}</body></html>"}, schema=None)
    result = renderer.render(channel, "x", context())
    assert isinstance(result, RenderFailure), result
    said = " ".join([result.message, *(one.message for one in renderer.problems("x"))])
    assert not any(word in said for word in ("leaked-value", "<function", "<built-in", "object at 0x"))


def test_there_are_as_many_escapes_and_bombs_as_the_aim_says() -> None:
    assert len(set(ESCAPES)) >= 60
    assert len(set(BOMBS)) >= 25


def doubled(line: str, times: int) -> str:
    return "{% set a0 = 'xxxxxxxxxxxxxxxx' %}" + "".join(
        "{% set a" + str(n + 1) + " = " + line.replace("@", f"a{n}") + " %}" for n in range(times)
    ) + "{{ a" + str(times) + " }}"  # fmt: skip


BOMBS = [
    "{{ 'a' * 10**9 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ 1000000000 * 'a' }}",
    "{{ [0] * 1000000000 }}",
    "{{ (1, 2) * 1000000000 }}",
    "{{ 'x'|center(777000000) }}",
    "{{ 'x'|indent(777000000) }}",
    "{{ '%0900000000d' % 1 }}",
    "{% set f = '%0900000000d' %}{{ f % 1 }}",
    "{{ '%0900000000d' is odd ~ customer.id * 9 }}",
    "{{ '{:>900000000}'.format(1) }}",
    "{{ 9 ** 9 ** 7 }}",
    "{% set n = 99999999999 %}{{ n * n * n * n }}",
    "{% set ns = namespace(x='a') %}{% for i in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}x{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
    "{% for a in range(1000000000) %}x{% endfor %}",
    "{{ range(1000000000)|length }}",
    "{{ range(0, 9999999999, 1)|join }}",
    "{% for a in range(1000) %}" + "{{ 'x' * 3 }}" * 100 + "{% endfor %}",
    "{% for a in range(900) %}"
    + "{{ customer.first_name|upper|lower|title|replace('a', 'bb') }}" * 200
    + "{% endfor %}",
    "{% for a in range(1000) %}{{ event.total|money ~ event.at|date ~ event.total|number(2) }}{% for b in range(9) %}{{ event.total|money }}{% endfor %}{% endfor %}",
    doubled("@ ~ @", 40),
    doubled("@ + @", 40),
    doubled("@|replace('x', 'xxxxxxxxxxxxxxxx')", 20),
    doubled("[@, @]|join(@)", 30),
    doubled("@|replace('', @)", 20),
    "{{ 'x'|replace('', 'y' ~ 'z')|replace('', 'a' ~ 'b')|default('1')|truncate(5) * 5 }}",
    "{% for a in range(1000) %}" + "x" * 2000 + "{% endfor %}",
    "{% for a in range(1000) %}{{ '" + "x" * 2000 + "' }}{% endfor %}",
    ("{{ '<' ~ '" + "<" * 30000 + "' }}") * 8
    + "{{ '"
    + "<" * 9000
    + "' }}"
    + "{% for a in range(99) %}{{ 'x' * 1 }}{% endfor %}",
    "{% for a in range(9) %}{{ '" + "<" * 90000 + "' }}{% endfor %}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{{ " + "-" * 5000 + "1 }}",
    "{{ " + "1+" * 20000 + "1 }}",
    "{{ " + "[" * 3000 + "]" * 3000 + " }}",
    "{{ " + "not " * 3000 + "1 }}",
    "{% if 1 %}" * 400 + "x" + "{% endif %}" * 400,
    "{% for a in [1] %}" * 30 + "x" + "{% endfor %}" * 30,
    "{{ 1" + "|default(1)" * 3000 + " }}",
    "{{ customer" + ".a" * 3000 + " }}",
    "{{ 9" + "9" * 20000 + " }}",
    "{{ 1e309 }}{{ 1e308 * 1e308 }}",
    "{{ '9e999999999'|money }}",
    "{{ '9e999999999'|int }}",
    "{{ 1.5|round(999999999) }}",
    "{{ now|date('" + "y" * 60000 + "') }}",
    "{{ 1|number(999999999) }}",
    "{{ 1 // 0 }}",
    "{{ 5 is divisibleby 0 }}",
    "{{ range(1, 5, 0) }}",
    "{{ '" + "x" * 300_000 + "' }}",
]


@pytest.mark.parametrize("number", range(len(BOMBS)))
def test_a_bomb_ends_in_a_failure_within_a_few_megabytes(make: Make, number: int) -> None:
    renderer = make({"x/sms.txt": BOMBS[number]})
    tracemalloc.start()
    result = renderer.render("sms", "x", context())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(result, RenderFailure)
    assert peak < 48_000_000


def test_a_bomb_costs_only_its_own_customer(make: Make) -> None:
    renderer = make({"x/sms.txt": "{% for one in event['items'] %}{{ one.name }} {% endfor %}"})
    flood = context(event={"items": [{"name": "x" * 1000}] * 5000})
    assert failed(renderer.render("sms", "x", flood)).code == "too-much"
    assert rendered(renderer.render("sms", "x", context())).text == "Tee & Kekse Kaffee"


def test_the_same_template_and_data_always_end_the_same_way(make: Make) -> None:
    renderer = make(
        {"x/sms.txt": "{% for a in range(1000) %}{% for b in range(9) %}x{% endfor %}{% endfor %}"}
    )
    results = {renderer.render("sms", "x", context()) for _ in range(5)}
    assert len(results) == 1
    assert rendered(results.pop()).text == "x" * 9000


def test_an_operation_that_is_allowed_still_works(make: Make) -> None:
    source = (
        "{{ 2 * 3 + 1 }} {{ 7 // 2 }} {{ 7 % 4 }} {{ -5 }} {{ 'a' ~ 1 ~ 'b' }} {{ 'a' + 'b' }} "
        "{{ [3, 1, 2]|sort|join('-') }} {{ orders|sort(attribute='total')|first|default('none') and orders[0].total }} "
        "{{ 'grüße'|upper }} {{ 'ein langer Satz'|truncate(10) }} {{ 2.5|round }} {{ '12'|int + 1 }} "
        "{% for n in range(3) if n is odd %}{{ loop.index }}{{ n }}{% endfor %} {{ now.year }} {{ orders|length }}"
    )
    text = rendered(make({"x/sms.txt": source}).render("sms", "x", context())).text
    assert text == "7 3 3 -5 a1b ab 1-2-3 30 GRÜSSE ein… 3 13 11 2026 2"


HOSTILE = [
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)", "</a><b>", "{{ 7*7 }}",
    "{% raw %}", "<!--", "]]>", "&lt;script&gt;", "\u2028<b>", "<svg/onload=alert(1)>", "javascript:alert(1)",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("form", ["html", "mjml"])
def test_what_customers_type_stays_text_in_html(make: Make, value: str, form: str) -> None:
    from lxml import html

    body = '<p title="{{ customer.first_name }}">{{ customer.first_name }}</p>'
    whole = {
        "html": f"<html><body>{body}</body></html>",
        "mjml": f"<mjml><mj-body><mj-section><mj-column><mj-text>{body}</mj-text></mj-column></mj-section></mj-body></mjml>",
    }
    renderer = make({f"x/email.{form}": f"---\nsubject: s\n---\n{whole[form]}"})
    customer = context()["customer"] | {"first_name": value}
    message = rendered(renderer.render("email", "x", context(customer=customer)))
    (paragraph,) = html.fromstring(message.html).iter("p")
    assert paragraph.text_content() == value
    assert dict(paragraph.attrib)["title"] == value
    assert len(paragraph) == 0
    assert value.split()[0] in message.text


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "data:text/html,x", "vbscript:x", "//evil", "/x", "x"]
)  # fmt: skip
@pytest.mark.parametrize(
    "source",
    [
        '<a href="{{ customer.shop_url }}">x</a>',
        '<a href=" {{ customer.shop_url }}">x</a>',
        '<a href="{% if customer.id %}{{ customer.shop_url }}{% endif %}">x</a>',
        '<a href="{% if not customer.id %}https://a{% else %}{{ customer.shop_url }}{% endif %}">x</a>',
        '<img src="{{ customer.shop_url }}">',
        "<a href={{ customer.shop_url }}>x</a>",
    ],
)
def test_a_link_that_begins_with_data_must_be_a_web_address(make: Make, url: str, source: str) -> None:
    renderer = make({"x/email.html": f"---\nsubject: s\n---\n<html><body>{source}</body></html>"})
    customer = context()["customer"] | {"shop_url": url}
    assert failed(renderer.render("email", "x", context(customer=customer))).code == "unsafe-link"
    assert "https://shop.example.com/ada" in rendered(renderer.render("email", "x", context())).html


def test_data_behind_the_author_s_own_address_is_no_link_of_its_own(make: Make) -> None:
    renderer = make({
        "x/email.html": '---\nsubject: s\n---\n<html><body><a href="https://a.example.com/?n={{ customer.first_name|urlencode }}">x</a>'
        '<a href="mailto:{{ sender.email }}">y</a></body></html>'
    })  # fmt: skip
    html = rendered(renderer.render("email", "x", context())).html
    assert 'href="https://a.example.com/?n=Ada"' in html
    assert 'href="mailto:hallo@laden.example.com"' in html


@pytest.mark.parametrize(
    "source",
    [
        "<script>x</script>", '<p onclick="x">y</p>', "<p/onclick=x()>y</p>", "<p\nonclick = 'x'>y</p>", "<p title='a'ONCLICK=x>y</p>",
        '<a href="javascript:x">y</a>', '<a href=" java&#115;cript:x">y</a>', '<a href="java\tscript:x">y</a>',
        '<a href=vbscript:x>y</a>', '<a href="data:text/html,x">y</a>', '<object data="x"></object>', "<embed type=x>",
        '<iframe></iframe>', '<base href="https://a.example">', '<meta http-equiv="refresh" content="0;url=x">',
        '<svg onload="x"></svg>',
    ],
)  # fmt: skip
def test_active_content_of_the_author_s_own_is_reported(make: Make, source: str) -> None:
    renderer = make({"x/email.html": f"---\nsubject: s\n---\n<html><body>\n{source}</body></html>"})
    assert {one.code for one in renderer.problems("x")} == {"T401"}
    assert {one.line for one in renderer.problems("x")} <= {5, 6}
    assert renderer.sound("x") == ()


def test_what_only_sounds_like_active_content_is_no_problem(make: Make) -> None:
    source = '<p class="online" data-on="x" title="on=1">on = off, javascript: no</p><a href="https://a.example/?javascript:x">y</a>'
    renderer = make({"x/email.html": f"---\nsubject: s\n---\n<html><body>\n{source}</body></html>"})
    assert renderer.problems("x") == ()
