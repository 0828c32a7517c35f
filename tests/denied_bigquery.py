"""A warehouse in BigQuery whose account lacks the rights that it needs, refused as Google's own clients refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.api_core import exceptions as api

from schemas import names
from schemas.tables import staging_columns
from shared.adapters.bigquery import BigqueryWarehouse

REFUSAL = "Permission denied on resource (or it may not exist)."


class Refusing:
    """Either client; every call of it raises `refusal`."""

    project = "p"

    def __init__(self, refusal: api.GoogleAPICallError) -> None:
        self._refusal = refusal

    def table_path(self, *parts: str) -> str:
        """Name a table, which asks nobody."""
        return "/".join(parts)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def refuse(*_args: Any, **_more: Any) -> Any:
            raise self._refusal

        return refuse


def denied_warehouse(*, has_looked: bool = False) -> BigqueryWarehouse:
    """Make one; where it has looked at the staging table before, an append gets as far as the Storage Write API."""
    warehouse = BigqueryWarehouse(
        Refusing(api.Forbidden(REFUSAL, errors=[{"reason": "accessDenied"}])),  # type: ignore[arg-type, no-untyped-call]  # a stand-in
        Refusing(api.PermissionDenied(REFUSAL)),  # type: ignore[arg-type, no-untyped-call]  # a stand-in
        dataset="d",
        location="US",
    )
    if has_looked:
        warehouse._known[names.staging_table(2)] = staging_columns(2)
    return warehouse
