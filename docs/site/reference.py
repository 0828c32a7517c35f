"""Writes `docs/reference/` from the code: the command, the HTTP API, the settings, the tables and the messages.

`python -m docs.site.reference` (part of `make docs`) writes the pages; a test says when the committed ones are not these.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click

from coordinator.routes import openapi
from coordinator.routes.route import Schema
from local.cli.main import commands
from local.one_machine.csv_inputs import INPUT_TABLES
from schemas import messages, tables
from shared.settings import CoordinatorSettings, SettingRow, WorkerSettings, describe

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"

MESSAGES: dict[str, tuple[type[messages.Message], str]] = {
    "request": (messages.PredictionRequest, "coordinator → worker: everything needed to predict one player. A message carries a JSON list of them, a slice."),
    "outcome": (messages.Outcomes, "worker → coordinator: what became of the players of a slice."),
    "batch-finished": (messages.BatchFinished, "coordinator → downstream: how a batch ended, or that its end improved."),
    "push envelope": (messages.PushEnvelope, "Pub/Sub → either service: what a push looks like."),
}  # fmt: skip
"""What goes over Pub/Sub, from whom to whom."""


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    written = {
        "command": _command_page(),
        "http-api": _api_page(),
        "settings": _settings_page(),
        "tables": _tables_page(),
        "messages": _messages_page(),
    }
    return {f"{name}.md": "\n".join(lines).rstrip() + "\n" for name, lines in written.items()}


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def _head(title: str, source: str) -> Iterator[str]:
    yield from (f"# {title}", "", f"Generated from {source} by `make docs`; a test compares the two.", "")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in row)} |"
    yield ""


# --- the command ----------------------------------------------------------------------------------------------


def _command_page() -> Iterator[str]:
    yield from _head("The command", "the command's own help")
    yield from _told(commands.help or "")
    yield from _table(
        ("command", "what it does"),
        (
            (f"[`{name}`](#{_anchor(name)})", command.get_short_help_str(limit=200))
            for name, command in walked(commands)
        ),
    )
    for name, command in walked(commands):
        yield from (f"## {name}", "")
        yield from _told(command.help or "")
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        if options:
            yield from _table(("option", "what it does", "default"), map(_option, options))


def walked(group: click.Group, above: str = "tipoff") -> Iterator[tuple[str, click.Command]]:
    """Every command below a group, with its whole name, in alphabetical order."""
    context = click.Context(group)
    for name in sorted(group.list_commands(context)):
        command = group.get_command(context, name)
        assert command is not None  # noqa: S101 - the group has just named it
        yield f"{above} {name}", command
        if isinstance(command, click.Group):
            yield from walked(command, f"{above} {name}")


def _told(text: str) -> Iterator[str]:
    """A help text; click keeps the lines of a paragraph that begins with a backspace character."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        head, kept, lines = paragraph.partition("\b\n")
        if not kept:
            yield from (head, "")
            continue
        title, *rest = lines.splitlines()
        yield from (f"{title}", "", "```text", *inspect.cleandoc("\n".join(["", *rest])).splitlines(), "```", "")


def _option(option: click.Option) -> tuple[str, str, str]:
    names = [*option.opts, *option.secondary_opts]
    takes = "" if option.is_flag or option.count else f" {option.make_metavar(_CONTEXT)}"
    default = option.default
    shown = (
        "" if default is None or isinstance(default, bool) or option.multiple or callable(default) else f"`{default}`"
    )
    is_told = bool(shown) and "UNSET" not in shown and default != ""
    needed = "required" if option.required else shown if is_told else ""
    return f"`{', '.join(names)}{takes}`", option.help or "", needed


_CONTEXT = click.Context(commands)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w-]+", "-", heading.lower()).strip("-")


# --- settings -------------------------------------------------------------------------------------------------


def _settings_page() -> Iterator[str]:
    yield from _head("Settings", "`shared/settings.py`")
    yield "The services read their settings from the environment once, at the start, and report all that is wrong with them in"
    yield "one error. A run on one machine needs none."
    yield ""
    of_worker, of_coordinator = describe(WorkerSettings), describe(CoordinatorSettings)
    both = {row.name for row in of_worker} & {row.name for row in of_coordinator}
    rows = (
        *(_setting(row, "both") for row in of_worker if row.name in both),
        *(_setting(row, "worker") for row in of_worker if row.name not in both),
        *(_setting(row, "coordinator") for row in of_coordinator if row.name not in both),
    )
    yield from _table(("variable", "read by", "default", "meaning"), rows)


def _setting(row: SettingRow, reader: str) -> tuple[str, str, str, str]:
    default = "required" if row.required else f"`{row.default}`" if row.default else "empty"
    return f"`{row.name}`", reader, default, row.meaning


# --- tables ---------------------------------------------------------------------------------------------------


def _tables_page() -> Iterator[str]:
    yield from _head("Tables and columns", "`schemas/`")
    yield "A released version never changes, and a new one only adds columns that may be absent; [Add a column](../schema-evolution.md)"
    yield (
        "says how. Staging tables, one per version of `predictions`, have these columns besides: "
        + _coded(tables.LINEAGE)
        + "."
    )
    yield ""
    yield "As a CSV file, an input table has a header with these names; a column that is REQUIRED must be there, and"
    yield "[Bring your own data](../how-to/your-data.md) says what cells look like:"
    yield ""
    yield from _table(
        ("file", "required columns", "optional columns"),
        (
            (f"`{name}*`", *(_coded(column.name for column in tables.load(name).columns if (column.mode == "REQUIRED") is wanted) for wanted in (True, False)))
            for name in INPUT_TABLES
        ),
    )  # fmt: skip
    for name in tables.TABLES:
        schema, versions = tables.load(name), tables.versions(name)
        yield from (f"## {name}", "", f"Version {versions[-1]}, {len(schema.columns)} columns.", "")
        first: dict[str, int] = {}
        for version in reversed(versions):
            first |= dict.fromkeys((column.name for column in tables.load(name, version).columns), version)
        header = ("column", "type", "mode", "meaning", *(("since",) if len(versions) > 1 else ()))
        yield from _table(
            header,
            (
                (f"`{one.name}`", one.sql_type, one.mode, one.description, f"v{first[one.name]}")[: len(header)]
                for one in schema.columns
            ),
        )


def _coded(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# --- messages -------------------------------------------------------------------------------------------------


def _messages_page() -> Iterator[str]:
    yield from _head("Messages", "`schemas/messages.py`")
    yield "As JSON schemas they are files in `schemas/messages/`. A field that a reader does not know is passed over, so that"
    yield "an older service takes a newer one's messages."
    yield ""
    found: dict[str, Schema] = {}
    for name, (model, what) in MESSAGES.items():
        schema = model.model_json_schema(ref_template="#{model}")
        parts = schema.pop("$defs", {})
        found |= {model.__name__: schema, **parts}
        yield f"- {name}: [`{model.__name__}`](#{model.__name__.lower()}), {what}"
    yield ""
    for title, schema in found.items():
        yield from _model(title, schema)


def _model(title: str, schema: Schema) -> Iterator[str]:
    yield from (f"## {title}", "")
    if schema.get("description"):
        yield from (_one_line(str(schema["description"])), "")
    if "enum" in schema:
        yield from ("One of " + _coded(map(str, schema["enum"])) + ".", "")
    elif schema.get("properties"):
        yield from _table(("field", "type", "meaning"), _fields(title, schema))


def _fields(title: str, schema: Schema) -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", ())
    said = _docstrings().get(title, {})
    for name, field in schema["properties"].items():
        meaning = (
            field.get("description") or said.get(name) or said.get(re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(), "")
        )
        yield f"`{name}`", _type(field) + ("" if name in required else ", optional"), _one_line(meaning)


def _type(field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        name = str(field["$ref"]).rpartition("/")[2].rpartition("#")[2]
        return f"[{name}]({_home(name)}#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in field:
            return " or ".join(dict.fromkeys(map(_type, field[several])))
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return _coded(map(str, field["enum"]))
    match field.get("type"):
        case "array":
            return f"list of {_type(field.get('items') or field.get('prefixItems', [{}])[0])}"
        case "object":
            values = field.get("additionalProperties")
            return f"object of {_type(values)}" if isinstance(values, dict) else "object"
        case None:
            return "anything"
        case kind:
            return str(field.get("format") or kind)


def _home(name: str) -> str:
    """The page that a model is described on, seen from that of the other models."""
    return "messages.md" if hasattr(messages, name) else ""


@cache
def _docstrings() -> dict[str, dict[str, str]]:
    """Class → field → what the source says of it in the string below."""
    found: dict[str, dict[str, str]] = {}
    for part in ("schemas", "coordinator", "shared"):
        for file in sorted((ROOT / part).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    found.setdefault(node.name, {}).update(_documented(node))
    return found


def _documented(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(node.body, node.body[1:], strict=False):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(said))),
            ):
                yield name, said


def _one_line(text: str) -> str:
    return " ".join(text.split())


# --- the HTTP API ---------------------------------------------------------------------------------------------


def _api_page() -> Iterator[str]:
    document = openapi.document(version="")
    yield from _head("HTTP API of the coordinator", "its OpenAPI document")
    yield "`GET /openapi.json` of a running coordinator has the same for programs. Every route but those marked open asks for a"
    yield "Google-signed identity token and answers 401 without one, 403 to whom it does not let, and 503 where the keys cannot be"
    yield "had. A refusal is a [problem document](#problem)."
    yield ""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield from _operation(method, path, operation)
    yield from ("## Bodies and answers", "", "What the routes above take and give, by name.", "")
    for title, schema in document["components"]["schemas"].items():
        if not hasattr(messages, title):
            yield from _model(title, schema)


def _operation(method: str, path: str, operation: Schema) -> Iterator[str]:
    is_open = operation.get("security") == []
    yield from (f"## {method.upper()} {path}", "", operation["summary"] + (" Open to anybody." if is_open else ""), "")
    if operation["parameters"]:
        yield from _table(
            ("parameter", "in", "type", "meaning"),
            (
                (f"`{one['name']}`", one["in"], _type(one["schema"]), str(one["schema"].get("description", "")))
                for one in operation["parameters"]
            ),
        )
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        yield from (f"Body: {_type(content['schema'])}, such as `{_json(content['example'])}`.", "")
    told = {
        status: _answered(answer) for status, answer in operation["responses"].items() if status not in ("401", "403")
    }
    yield from ("Answers: " + "; ".join(f"{status} {what}" for status, what in told.items()) + ".", "")


def _answered(answer: Schema) -> str:
    kinds = [
        "a page" if kind == "text/html" else _type(content["schema"])
        for kind, content in answer.get("content", {}).items()
    ]
    return " or ".join(kinds) or str(answer["description"])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    main()
