"""A flowchart as SVG, laid out by Graphviz: the program of the `graphviz-pure` package, or a `dot` on the PATH.

Boxes and arrows carry classes; the style sheet inside the SVG colours them, for light and for dark screens.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from treue.errors import UsageError
from treue.plan.flowchart import Flowchart, dot

SECONDS = 20

_STYLE = """\
<style>
svg { --ink: #1f2328; --soft: #59636e; --line: #8c959f; --paper: #ffffff; --box: #f6f8fa; --edge: #d1d9e0;
  --send: #ddf4ff; --send-edge: #54aeff; --wait: #fff8c5; --wait-edge: #d4a72c; --way: #fbefff; --way-edge: #c297ff;
  --good: #dafbe1; --good-edge: #4ac26b; --bad: #ffebe9; --bad-edge: #ff8182; background: var(--paper); }
@media (prefers-color-scheme: dark) {
  svg { --ink: #f0f6fc; --soft: #9198a1; --line: #6e7681; --paper: #0d1117; --box: #151b23; --edge: #3d444d;
    --send: #0c2d4d; --send-edge: #1f6feb; --wait: #332607; --wait-edge: #9e6a03; --way: #2b1a46; --way-edge: #8957e5;
    --good: #0f2e1a; --good-edge: #238636; --bad: #3c1618; --bad-edge: #da3633; }
}
text { fill: var(--ink); font-family: Arial, Helvetica, "Liberation Sans", sans-serif; }
.node path, .node polygon { fill: var(--box); stroke: var(--edge); }
.edge text { fill: var(--soft); }
.edge path { stroke: var(--line); }
.edge polygon { fill: var(--line); stroke: var(--line); }
.edge.passed path { stroke-dasharray: 4 3; }
.edge.beside path { stroke: var(--edge); }
.node.send path { fill: var(--send); stroke: var(--send-edge); }
.node.wait path { fill: var(--wait); stroke: var(--wait-edge); }
.node.choose path, .node.split path { fill: var(--way); stroke: var(--way-edge); }
.node.enter path, .node.goal path { fill: var(--good); stroke: var(--good-edge); }
.node.exit path, .node.stop path { fill: var(--bad); stroke: var(--bad-edge); }
.node.holdout path { fill: none; stroke: var(--line); stroke-dasharray: 5 3; }
.node.end path { fill: var(--box); stroke: var(--line); }
</style>
"""


def svg(chart: Flowchart) -> str:
    """Lay out the flowchart as an SVG document. Raises UsageError where no Graphviz is installed, or it fails."""
    command = [_program(), "-Tsvg"]
    try:
        done = subprocess.run(  # noqa: S603 - the program is Graphviz's own, the input is our text
            command, input=dot(chart).encode(), capture_output=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(
            f"Graphviz did not draw {chart.name}: {error}. `--mermaid` needs no Graphviz."
        ) from error
    if done.returncode:
        said = (done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[0]
        raise UsageError(f"Graphviz did not draw {chart.name}: {said}. `--mermaid` needs no Graphviz.")
    return _with_style(done.stdout.decode(), chart.name)


def _program() -> str:
    """Return the path of Graphviz's program, nearest first: this installation's own, then the PATH's."""
    try:
        installed = metadata.files("graphviz-pure") or []
    except metadata.PackageNotFoundError:
        installed = []
    for file in installed:
        path = Path(str(file.locate()))
        if file.stem == "graphviz-pure" and path.is_file():
            return str(path.resolve())
    found = shutil.which("graphviz-pure") or shutil.which("dot")
    if not found:
        raise UsageError(
            "A drawing needs Graphviz: pip install graphviz-pure, or put `dot` on the PATH. "
            "`--mermaid` needs neither."
        )
    return found


def _with_style(drawn: str, name: str) -> str:
    """Return the SVG with our style sheet, and with the journey's name in place of what Graphviz writes on top."""
    start = drawn.index("<svg")
    body = re.sub(r"<!--.*?-->\s*", "", drawn[start:], flags=re.DOTALL)
    body = re.sub(r"<title>[^<]*</title>\s*", "", body)
    head, _, rest = body.partition(">")
    return f'{head} role="img">\n<title>{name}</title>\n{_STYLE}{rest.lstrip()}'
