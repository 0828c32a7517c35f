"""What the API's description says of one route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from coordinator.operator.bodies import DATE_PATTERN

Schema = dict[str, Any]
Model = type[BaseModel]
HTML = "text/html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route.

    Args:
        answers: success statuses and the models of their JSON bodies; none for an empty body, any JSON, or a page.
        required: the parameters of the query without which nothing can be answered.
        is_page: whether answers and refusals are HTML, for people.
        refusals: statuses of problem documents, beside those that every guarded route may give.
    """

    method: str
    path: str
    summary: str
    answers: Mapping[int, tuple[Model, ...]]
    refusals: Sequence[int] = ()
    body: Model | None = None
    query: Mapping[str, Schema] = field(default_factory=dict)
    headers: Mapping[str, Schema] = field(default_factory=dict)
    is_open: bool = False
    is_page: bool = False
    required: Sequence[str] = ()


GAME_DATE: Schema = {"type": "string", "format": "date", "pattern": DATE_PATTERN}
