"""Reads a model's file, from this machine or from Cloud Storage. Knows where it lies and nothing of what it says."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlsplit

import google.auth
import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession

from shared.errors import InvalidInput, Unavailable

CLOUD_STORAGE = "https://storage.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_TIMEOUT_SECONDS = 60


def read_file(location: str) -> bytes:
    """Read the bytes of a path or of a `gs://bucket/object` URL, the latter with the process's own identity.

    Raises:
        InvalidInput: nothing readable is there.
        Unavailable: Cloud Storage did not answer.
    """
    if not location.startswith("gs://"):
        return _read_path(Path(location))
    try:
        credentials, _project = google.auth.default(scopes=[_SCOPE])
        return read_object(location, AuthorizedSession(credentials))  # type: ignore[no-untyped-call]  # the client is untyped
    except GoogleAuthError as error:
        raise Unavailable(f"no identity to read {location} with: {error}") from error


def read_object(url: str, session: requests.Session, *, api: str = CLOUD_STORAGE) -> bytes:
    """Read an object by Cloud Storage's JSON API (https://cloud.google.com/storage/docs/json_api/v1/objects/get).

    Raises:
        InvalidInput: the URL names no object, or the object is not there, or may not be read.
        Unavailable: Cloud Storage did not answer.
    """
    parts = urlsplit(url)
    bucket, name = parts.netloc, parts.path.lstrip("/")
    if not bucket or not name:
        raise InvalidInput("TIPOFF_MODEL", f"{url} names no object; write gs://BUCKET/OBJECT")
    place = f"{api}/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}"
    try:
        answer = session.get(place, params={"alt": "media"}, timeout=_TIMEOUT_SECONDS)
    except requests.RequestException as error:
        raise Unavailable(f"Cloud Storage did not answer for {url}: {error}") from error
    if answer.status_code in (401, 403, 404):
        raise InvalidInput(
            "TIPOFF_MODEL", f"{url} cannot be read (status {answer.status_code}); check its name and who may read it"
        )
    if answer.status_code != 200:
        raise Unavailable(f"Cloud Storage answered {answer.status_code} for {url}")
    return answer.content


def _read_path(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(
            "model", f"{path} cannot be read ({error.strerror}); name a file of `tipoff train`"
        ) from error
