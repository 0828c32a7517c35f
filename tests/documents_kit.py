"""Short words for making and reading documents in tests of any `DocumentStore`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.ports import Create, Document, DocumentStore, Path, Value


def read(documents: DocumentStore, path: Path) -> Document:
    document = documents.get(path)
    assert document is not None
    return document


def fields_of(documents: DocumentStore, path: Path) -> Mapping[str, Any]:
    return read(documents, path).fields


def make(documents: DocumentStore, path: Path, fields: Mapping[str, Value] | None = None) -> Path:
    documents.commit([Create(path, fields or {})])
    return path
