"""The one error tree: every error says whether trying again can help, and who has to act.

`Transient` means the same call may succeed later (the edge answers 503 and Pub/Sub redelivers). `Permanent`
means that it cannot. Adapters translate every error of their client into a leaf of this tree and keep the cause.
"""

from __future__ import annotations


class TipoffError(Exception):
    """Root of the tree; its text is a sentence that an operator can act on."""


class Transient(TipoffError):
    """Trouble that may pass by itself."""


class Permanent(TipoffError):
    """Trouble that no repetition cures."""


# --- transient ------------------------------------------------------------------------------------------------


class Unavailable(Transient):
    """A dependency (document store, warehouse, topic, certificates) did not answer, asked to try later, or refused a right,
    which a person grants: what waits for it must not be lost meanwhile."""


class LeaseLost(Transient):
    """The consolidation lease of the game date passed to another holder while this one was working."""


# --- permanent: the caller's input ----------------------------------------------------------------------------


class InvalidInput(Permanent):
    """A value from outside is unusable.

    Args:
        field: name of the field, column, option or setting.
        problem: what is wrong with it and how to mend it, in plain English.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class MalformedMessage(Permanent):
    """A pushed message cannot be understood, now or ever."""


class NotAuthorised(Permanent):
    """The caller did not prove who it is: no token, or one that does not verify."""


class CallerRefused(NotAuthorised):
    """The caller proved who it is, and that account may not use this route."""


class UnknownBatch(Permanent):
    """No batch has that id."""


class UnknownPlayer(Permanent):
    """Nobody of that name was predicted."""


class Conflict(Permanent):
    """The request is sound but the present state forbids it; `batch_id` names the batch in the way."""

    def __init__(self, message: str, *, batch_id: str | None = None) -> None:
        super().__init__(message)
        self.batch_id = batch_id


class InputsIncomplete(Conflict):
    """The inputs of the date are too stale to plan on; they may come, or a person goes on without them."""


class MoveRefused(Conflict):
    """The lifecycle has no such move from the batch's present state; nothing was changed."""


# --- permanent: the document store's answers ------------------------------------------------------------------


class DocumentExists(Permanent):
    """A create met a document that is already there; nothing of its commit was written."""


class DocumentMissing(Permanent):
    """An update named a document that is not there; nothing of its commit was written."""


class VersionChanged(Permanent):
    """A compare-and-set met a newer version; nothing of its commit was written. Read again and decide again."""


# --- permanent: the warehouse's answers -----------------------------------------------------------------------


class TableMissing(Permanent):
    """A statement or append names a table that does not exist."""


class SchemaClash(Permanent):
    """A live table differs from the declared one in a way that no additive change mends."""


class QueryRefused(Permanent):
    """The warehouse refused a statement: its text, its types, its cost bound or its data."""


class VerificationRefused(Permanent):
    """A check before or after the MERGE did not hold; staging is kept."""


class ConfirmationNeeded(VerificationRefused):
    """The consolidation would retire more rows than the policy allows without a person's word."""
