"""What the API's description says of one route."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]
Model = type[BaseModel]
HTML = "text/html"

WHY_HEADER: Mapping[str, Schema] = {
    "Tipoff-Why": {
        "type": "string",
        "maxLength": 500,
        "pattern": "^[ -~]*$",
        "description": "The caller's reason, percent-encoded; it is kept with the account and the time.",
    }
}
KEY_AND_WHY_HEADERS: Mapping[str, Schema] = {
    "Idempotency-Key": {"type": "string", "maxLength": 200, "description": "A repeat with the same key is no other."},
    **WHY_HEADER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route.

    Args:
        answers: success statuses and the models of their JSON bodies; none for an empty body, any JSON, or a page.
        query: the parameters of the query.
        is_page: whether answers and refusals are HTML, for people.
        refusals: statuses of problem documents, beside those that every guarded route may give.
    """

    method: str
    path: str
    summary: str
    answers: Mapping[int, tuple[Model, ...]]
    refusals: Sequence[int] = ()
    body: Model | None = None
    query: Model | None = None
    headers: Mapping[str, Schema] = field(default_factory=dict)
    is_open: bool = False
    is_page: bool = False

    @property
    def name(self) -> str:
        """Its method and the words of its path, such as `post_batches_batch_id_cancel`."""
        return "_".join([self.method, *re.findall(r"\w+", self.path)])
