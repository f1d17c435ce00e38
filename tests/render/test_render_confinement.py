"""What is not proven to end soon renders in a child process, which dies in place of everything else."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.render.writing import Make, context, failed, rendered
from treue.render.problem import Fault
from treue.render.sandbox import confinement, formats, sandbox
from treue.render.sandbox.confinement import Packed, RenderStopped
from treue.render.templates.check import check_template
from treue.render.templates.compiled import CompiledPart
from treue.render.templates.tags import JinjaSource, Tag

SOON = 0.2
"""Seconds for what never ends."""
BODIES = {
    "spins": "while True: pass",
    "spins deep in C": "[0] * 10**6 == [0] * 10**6 and sum(range(10**12))",
    "eats memory": "kept = []\n    while True: kept.append(bytearray(10**7))",
    "eats memory at once": "'x' * 10**9",
    "ends the process": "import os; os._exit(3)",
    "crashes": "import ctypes; ctypes.string_at(0)",
}
SAID = {
    "spins": "it was stopped after 2 seconds", "spins deep in C": "it was stopped after 2 seconds",
    "eats memory": "it was stopped at 256 MB of memory", "eats memory at once": "it was stopped at 256 MB of memory",
    "ends the process": "it is nested too deeply, or too large", "crashes": "it is nested too deeply, or too large",
}  # fmt: skip


def code(body: str) -> Packed:
    """Return what no template compiles to: a hole in the counting, as if there were one."""
    source = f"name = None\nblocks = {{}}\ndebug_info = ''\ndef root(context):\n    {body}\n    yield 'x'\n"
    return Packed.of(compile(source, "hole", "exec"))


def ask(body: str, seconds: float = confinement.SECONDS) -> dict[str, Any]:
    state = sandbox.State(("en",), "UTC", "sms")
    return confinement.render_part(code(body), False, {sandbox.STATE: state}, seconds)


@pytest.mark.parametrize("name", BODIES)
def test_the_child_dies_of_it_and_the_next_one_works(name: str) -> None:
    with pytest.raises(RenderStopped) as stopped:
        ask(BODIES[name], SOON if "spins" in name else confinement.SECONDS)
    assert stopped.value.why == SAID[name]
    assert ask("pass")["text"] == "x"


def test_the_child_knows_nothing_of_the_parent_s_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREUE_SECRET", "leaked-value")
    with pytest.raises(RenderStopped):
        ask("import os; os._exit(0)")
    assert ask("import os; yield repr(dict(os.environ))")["text"].count("leaked-value") == 0


def test_a_library_that_prints_does_not_garble_the_answers() -> None:
    assert ask("print('hello', flush=True); import os; os.write(1, b'hello')")["text"] == "x"


def test_text_that_is_no_utf_8_comes_back_as_it_is() -> None:
    assert ask(r"yield 'a\ud800\u20ac'")["text"] == "a\ud800€x"


def test_a_process_that_was_forked_has_a_child_of_its_own() -> None:
    assert ask("pass")["text"] == "x"
    pid = os.fork()
    if pid == 0:
        os._exit(0 if ask("yield 'y'")["text"] == "yx" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ask("yield 'z'")["text"] == "zx"


def test_a_signal_to_the_whole_group_costs_nothing() -> None:
    assert ask("import os, signal; os.kill(os.getpid(), signal.SIGTERM)")["text"] == "x"


def test_a_child_that_somebody_ended_is_replaced() -> None:
    pid = int(ask("import os; yield str(os.getpid())")["text"].removesuffix("x"))
    os.kill(pid, signal.SIGKILL)
    while confinement._running is not None and confinement._running.alive:
        pass
    assert ask("pass")["text"] == "x"


def test_more_parts_than_the_child_keeps_come_and_go() -> None:
    numbers = range(2 * confinement.KEPT + 3)
    for n in (*numbers, *numbers):
        assert ask(f"yield '{n}'")["text"] == f"{n}x"


def hollow(body: str) -> CompiledPart:
    tag = Tag("{{ x }}", "templates/x/sms.txt", 3, 7)
    template: Any = object()
    return CompiledPart(
        JinjaSource("{{\n x }}", (tag,)), "templates/x/sms.txt", template=template, code=code(body)
    )


def test_what_was_stopped_says_so_of_its_file() -> None:
    part = hollow("while True: pass")
    state = sandbox.State(("en",), "UTC", "sms")
    state.seconds = SOON
    with pytest.raises(Fault) as error:
        part.render({sandbox.STATE: state})
    failure = part.failure(error.value)
    assert (failure.code, failure.file) == ("too-much", "templates/x/sms.txt")
    assert failure.message == (
        "This template does too much work for one message: it was stopped after 2 seconds."
    )


UNPROVEN = "{% set a = [customer.first_name, 'b'] %}\n{{ a | join('-') }} {{ event.total | money }}"


def test_a_template_in_the_child_reads_as_it_would_here_and_fails_at_the_same_place(make: Make) -> None:
    renderer = make({"x/sms.txt": UNPROVEN, "x/push.txt": UNPROVEN.replace("total", "missing")}, schema=None)
    assert rendered(renderer.render("sms", "x", context())).text == "Ada-b €\xa019,90"
    failure = failed(renderer.render("push", "x", context()))
    assert (failure.code, failure.line, failure.column) == ("missing-value", 2, 30)


def test_check_renders_by_itself_what_is_proven_to_end_and_nothing_else(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answer = {"text": "x", "work": 1, "loops": 1, "seconds": 0.0}
    monkeypatch.setattr(confinement, "render_part", lambda *_: asked.append("rendered") or answer)
    renderer = make({"proven/sms.txt": "{{ customer.first_name | default('you') }}", "x/sms.txt": UNPROVEN})
    assert check_template(renderer, "proven") == []
    assert asked == []
    check_template(renderer, "x")
    assert set(asked) == {"rendered"}


def test_what_a_library_makes_of_a_value_is_the_template_s_fault_here_and_there(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> str:
        raise NotImplementedError("no such calendar")

    monkeypatch.setattr(formats, "day", refuse)
    failure = failed(make({"x/sms.txt": "a\n{{ event.at | date }}"}).render("sms", "x", context()))
    assert (failure.code, failure.line) == ("wrong-type", 2)
    assert failure.message == "This cannot be worked out: no such calendar."


def test_work_is_counted_over_all_parts_of_a_message(make: Make) -> None:
    loop = "{% for a in range(999) %}{% for b in range(6) %}{% endfor %}{% endfor %}"
    unproven = "{% set a = [1, customer] %}" + loop
    page = f"---\nsubject: s{unproven}\npreheader: p{loop}\n---\n<html><body>x</body></html>"
    failure = failed(make({"x/email.html": page}).render("email", "x", context()))
    assert (failure.code, failure.line) == ("too-much", 3)
