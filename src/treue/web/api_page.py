"""The page of the HTTP API, made from what /openapi.json says; `docs/api.md` is this, and a test holds it to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from treue.composition.assembly import assembled
from treue.vocabulary.workspace import load
from treue.web.app import create_app

INTRODUCTION = """# The HTTP API

Made from what `/openapi.json` is made from; do not edit it by hand (`python -m treue.web.api_page > docs/api.md`). The first
steps with it are in [connect/curl.md](connect/curl.md).

- Bodies are JSON in UTF-8, whatever `Content-Type` says, uncompressed and at most 1 MiB.
- The API key is in the environment (`TREUE_API_KEY`), else in `.treue/api_key`. Send it as `Authorization: Bearer KEY`.
- What is accepted is committed before it is answered. What is refused is answered with a [problem](#problem), in which
  each misfit of the body has its place; then nothing of the request was kept, of a batch neither.
- Only what stands here is a field. An unknown one is refused, with the nearest that there is, where a table does not say
  that further keys are taken.
- Numbers and texts of attributes and properties are kept as `treue.yaml` declares them: `"40.5"` fits a number, `7` fits a text.
"""
_WORKSPACE = (
    "workspace: shop\ntimezone: UTC\nsender: {name: Shop, email: a@b.example, postal_address: Here}\n"
)
_ENDS = ("Problem", "BodyError")
"""The shapes that every answer may have: they stand at the end."""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([INTRODUCTION, *_lines(api_document())]).rstrip() + "\n"


def api_document() -> dict[str, Any]:
    """Return /openapi.json, which is the same in every workspace."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "treue.yaml").write_text(_WORKSPACE, encoding="utf-8")
        with assembled(load(Path(folder)), deliver=False) as assembly:
            return create_app(assembly).openapi()


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    shapes, shown = document["components"]["schemas"], set(_ENDS)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield from _operation(f"{method.upper()} {path}", operation, shapes, shown)
    yield "## When a request is refused\n"
    for name in _ENDS:
        yield from _shape(name, shapes[name])


def _operation(
    title: str, operation: Mapping[str, Any], shapes: Mapping[str, Any], shown: set[str]
) -> Iterator[str]:
    yield f"## `{title}`\n"
    yield "\n".join(line.strip() for line in operation["description"].splitlines()) + "\n"
    yield f"**Authentication.** {operation['x-authentication']}\n"
    if parameters := operation.get("parameters"):
        yield "| parameter | in | type | required | meaning |\n| --- | --- | --- | --- | --- |"
        for one in parameters:
            needed = "yes" if one["required"] else "no"
            yield f"| `{one['name']}` | {one['in']} | {_type(one['schema'])} | {needed} | {one['description']} |"
        yield ""
    ((kind, content),) = operation.get("requestBody", {"content": {"": {}}})["content"].items()
    if kind:
        yield f"**Body.** {_said(content['schema'])}\n"
    yield from _example(content)
    yield "| answer | means | body |\n| --- | --- | --- |"
    for status, answer in sorted(operation["responses"].items()):
        ((_, told),) = answer["content"].items()
        yield f"| {status} | {answer['description']} | {_said(told['schema'])} |"
    yield ""
    for answer in operation["responses"].values():
        ((_, told),) = answer["content"].items()
        yield from _fields(told["schema"]) if "properties" in told["schema"] else ()
        yield from _example(told)
        break
    for name in _within([content, operation["responses"]], shapes):
        if name not in shown:
            shown.add(name)
            yield from _shape(name, shapes[name])


def _within(value: Any, shapes: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the shapes that a description refers to, also by way of others, in their order."""
    if isinstance(value, Mapping):
        if name := _name(value):
            yield name
            yield from _within(shapes[name], shapes)
        for inner in value.values():
            yield from _within(inner, shapes)
    elif isinstance(value, list):
        for inner in value:
            yield from _within(inner, shapes)


def _shape(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}\n\n{schema['description']}\n"
    yield from _fields(schema)


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "| field | type | required | default | meaning | limits |\n| --- | --- | --- | --- | --- | --- |"
    for name, field in schema["properties"].items():
        default = f"`{json.dumps(field['default'])}`" if "default" in field else "–"
        yield (
            f"| `{name}` | {_type(field)} | {_required(name, schema)} | {default} | {field['description']} "
            f"| {_limits(field)} |"
        )
    yield ""


def _required(name: str, schema: Mapping[str, Any]) -> str:
    if name in schema.get("required", ()):
        return "yes"
    for choice in [schema, *schema.get("allOf", ())]:
        names = [one for way in choice.get("anyOf", ()) for one in way.get("required", ())]
        if name in names:
            return "one of " + ", ".join(f"`{one}`" for one in names)
    return "no"


def _name(schema: Mapping[str, Any]) -> str:
    found = schema.get("$ref", "")
    return found.rpartition("/")[2] if isinstance(found, str) else ""


def _type(schema: Mapping[str, Any]) -> str:
    if name := _name(schema):
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "externalDocs" in schema:
        return f"[object]({schema['externalDocs']['url']})"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    told = schema.get("type", "anything")
    return told if isinstance(told, str) else " or ".join(told)


def _said(schema: Mapping[str, Any]) -> str:
    """Say what a whole body is."""
    if "properties" in schema:
        return "object, below"
    parts = []
    for one in schema.get("anyOf", [schema]):
        limits = _limits(one)
        told = f" ({one['description']})" if "description" in one else ""
        parts.append(_type(one) + told + (f" ({limits})" if limits != "–" else ""))
    return " or ".join(parts)


def _limits(schema: Mapping[str, Any]) -> str:
    found = []
    for unit, least, most in (
        ("characters", "minLength", "maxLength"),
        ("entries", "minItems", "maxItems"),
        ("keys", "minProperties", "maxProperties"),
    ):
        if most in schema:
            low = f"{schema[least]} to " if least in schema else "at most "
            found.append(f"{low}{schema[most]:,} {unit}")
        elif least in schema:
            found.append("not empty")
    if "enum" in schema:
        found.append(", ".join(f"`{value}`" for value in schema["enum"]))
    return "; ".join(found) or "–"


def _example(content: Mapping[str, Any]) -> Iterator[str]:
    if "example" in content:
        yield f"```json\n{json.dumps(content['example'], indent=2)}\n```\n"


if __name__ == "__main__":
    print(page(), end="")
