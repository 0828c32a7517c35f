"""Writes the messages' JSON Schemas to `schemas/messages/`: the contract that other systems read (C5).

Run `python -m schemas.json_schemas` after a change to `schemas/messages.py`. A document that fits a schema is one that this
revision accepts; fields beyond it are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from schemas.messages import OUTCOME, BatchFinished, PredictionRequest, PushEnvelope

FOLDER = Path(__file__).parent / "messages"

_Field: TypeAlias = core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MESSAGES: Mapping[str, TypeAdapter[Any]] = {
    "request": TypeAdapter(PredictionRequest),
    "outcome": OUTCOME,
    "batch_finished": TypeAdapter(BatchFinished),
    "push_envelope": TypeAdapter(PushEnvelope),
}


class _Accepted(GenerateJsonSchema):
    """Requires what parsing requires: the tag of a union too, which pydantic takes for optional as it has a default."""

    def field_is_required(self, field: _Field, total: bool) -> bool:
        schema = field["schema"]
        is_tag = schema["type"] == "default" and schema["schema"]["type"] == "literal"
        return is_tag or super().field_is_required(field, total)


def exported() -> dict[str, str]:
    """The text of every schema file, by file name."""
    schemas = {
        name: {"$schema": _DIALECT} | adapter.json_schema(schema_generator=_Accepted)
        for name, adapter in _MESSAGES.items()
    }
    return {f"{name}.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas.items()}


def write(folder: Path = FOLDER) -> None:
    """Write every schema file, replacing what is there; a repeat writes the same bytes."""
    folder.mkdir(exist_ok=True)
    for name, text in exported().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
