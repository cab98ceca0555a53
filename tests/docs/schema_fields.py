"""A JSON Schema as tables of fields, for the reference."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Node = Mapping[str, Any]


def section(path: Path) -> Iterator[str]:
    """Heading, table of all fields, and the file's name."""
    schema = json.loads(path.read_bytes())
    yield f"## {schema['title'].partition(',')[0]}\n"
    yield f"Schema: `{path.name}`.\n"
    yield "| field | type | |\n| --- | --- | --- |"
    for field, node in _fields(schema, schema, ""):
        yield f"| `{field}` | {_type(node, schema)} | {node.get('description', '')} |"
    yield ""


def _fields(node: Node, schema: Node, within: str) -> Iterator[tuple[str, Node]]:
    """Every field below `node` in order: `run.account.type`, `users[].notes[]`."""
    for name, found in node.get("properties", {}).items():
        field = f"{within}{name}"
        whole = _resolved(found, schema)
        yield field, {**whole, **{key: value for key, value in found.items() if key != "$ref"}}
        for below, mark in _below(whole, schema):
            yield from _fields(below, schema, f"{field}{mark}.")


def _below(node: Node, schema: Node) -> Iterator[tuple[Node, str]]:
    """Objects within a field: its own, one of several that it may be, those of a list."""
    if "properties" in node:
        yield node, ""
    for choice in node.get("anyOf", ()):
        yield from _below(_resolved(choice, schema), schema)
    if "items" in node:
        for below, mark in _below(_resolved(node["items"], schema), schema):
            yield below, f"[]{mark}"


def _resolved(node: Node, schema: Node) -> Node:
    reference = node.get("$ref")
    if reference is None:
        return node
    found: Node = schema["$defs"][reference.rpartition("/")[2]]
    return _resolved(found, schema)


def _type(node: Node, schema: Node) -> str:
    if "const" in node:
        return f"`{json.dumps(node['const'])}`"
    if "enum" in node:
        return ", ".join(f"`{json.dumps(value).strip(chr(34))}`" for value in node["enum"])
    if "anyOf" in node:
        return " or ".join(_type(_resolved(choice, schema), schema) for choice in node["anyOf"])
    kinds = node.get("type", "anything")
    if kinds == "array":
        return f"list of {_type(_resolved(node.get('items', {}), schema), schema)}"
    return kinds if isinstance(kinds, str) else " or ".join(kinds)
