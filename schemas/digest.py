"""The digest of a set of predictions, which says whether staging holds the rows that an outcome tells of: the one rule,
as the worker computes it and as the warehouse does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

IN_SQL = "TO_HEX(MD5(STRING_AGG(DISTINCT `prediction_id`, ',' ORDER BY `prediction_id`)))"
"""The digest of the prediction ids of a group."""


def of_ids(prediction_ids: Iterable[str]) -> str:
    """The digest of distinct prediction ids, in whatever order and however often they come."""
    return hashlib.md5(",".join(sorted(set(prediction_ids))).encode(), usedforsecurity=False).hexdigest()
