"""Decides whether a request comes from an allow-listed Google account, by its Google-signed OIDC token (D4).

Stands on top of Cloud Run's own IAM, which takes the signature out of the tokens that it has checked, so that nobody
can use them again (Cloud Run, "Troubleshooting: JWT signature removed"). Knows no route: who may call what is the
caller's list.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from google.auth import jwt
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from shared.errors import CallerRefused, InvalidInput, NotAuthorised, Unavailable

GOOGLE_CERTIFICATES_URL = "https://www.googleapis.com/oauth2/v1/certs"
CLOCK_SKEW_SECONDS = 10

_NO_TIME_ANY_MORE = 2**40
"""Seconds since 1970 that no token's end reaches; beyond them a float is not finite or no clock's."""

REMOVED_SIGNATURE = "SIGNATURE_REMOVED_BY_GOOGLE"
"""What stands in the place of the signature in a token that Cloud Run's IAM has checked."""

_ISSUERS = frozenset({"accounts.google.com", "https://accounts.google.com"})
_FETCH_TIMEOUT_SECONDS = 10
_SHORTEST_REFETCH_SECONDS = 60.0
_SHORTEST_RETRY_SECONDS = 5
"""How often tokens under unknown keys may cause a fetch: often enough for a rotation, too rarely for an attack."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """Public certificates (PEM) by key id, and for how long they may be kept."""

    by_key_id: Mapping[str, str]
    max_age_seconds: float


class Headers(Protocol):
    """A request's headers, by names in whatever case."""

    def get(self, name: str, /) -> str | None:
        """Return a header's value, or None."""


def token_header(headers: Headers) -> str | None:
    """Return the header that proves who calls: where both are sent, Cloud Run checks `X-Serverless-Authorization` only,
    so the other may say anything (Cloud Run, "Service-to-service authentication")."""
    return headers.get("X-Serverless-Authorization") or headers.get("Authorization")


def fetch_certificates(url: str = GOOGLE_CERTIFICATES_URL) -> Certificates:
    """Fetch the certificates that Google signs ID tokens with; kept as long as the answer's Cache-Control allows.

    Raises:
        Unavailable: they could not be fetched, or are none.
    """
    try:
        answer = Request()(url, timeout=_FETCH_TIMEOUT_SECONDS)
    except GoogleAuthError as error:
        raise Unavailable(f"the certificates at {url} are out of reach: {error}") from error
    if answer.status != 200:
        raise Unavailable(f"the certificates at {url} answered {answer.status}")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Certificates(_certificates_in(answer.data, url), _max_age_seconds(headers.get("cache-control", "")))


class TokenVerifier:
    """Verifies callers' tokens for one audience; safe to share between threads.

    Args:
        audience: what the tokens must be made for, such as the service's URL.
        behind_cloud_run: Cloud Run's IAM checks every caller before we see him: a token whose signature it has removed
            counts as verified. Anybody could make such a token where that is not so.
        fetch: where certificates come from; asked again when they are too old to keep.
        monotonic: seconds that only grow, for the certificates' age.
        wall_clock: seconds since 1970, for the tokens' times.

    Raises:
        InvalidInput: the audience is empty, which would accept tokens made for anybody.
    """

    def __init__(
        self,
        audience: str,
        *,
        behind_cloud_run: bool = False,
        fetch: Callable[[], Certificates] = fetch_certificates,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if not audience.strip():
            raise InvalidInput("audience", "is empty; set it to what callers' tokens are made for")
        self._audience = audience
        self._behind_cloud_run = behind_cloud_run
        self._fetch = fetch
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._kept: tuple[Certificates, float] | None = None
        self._failed: tuple[str, float] | None = None

    def verify(self, authorization: str | None, *, allowed: frozenset[str]) -> str:
        """Return the e-mail address of the account that a header of the form `Bearer TOKEN` proves, if it is one of `allowed`.

        Raises:
            NotAuthorised: no bearer token, or one that does not verify.
            CallerRefused: a sound token of an account that is not allowed.
            Unavailable: the certificates are out of reach, so nothing can be said.
        """
        token = _token_of(authorization)
        email = _email_of(self._claims_of(token))
        if email not in allowed:
            raise CallerRefused(f"{email} may not call this route; the route's callers are in the settings")
        return email

    def _claims_of(self, token: str) -> Mapping[str, object]:
        if self._behind_cloud_run and token.endswith(f".{REMOVED_SIGNATURE}"):
            return self._claims_that_cloud_run_checked(token)
        certificates = self._certificates_with(_key_id_of(token))
        try:
            claims: Mapping[str, object] = jwt.decode(  # type: ignore[no-untyped-call]  # the client is untyped
                token,
                certs=certificates.by_key_id,
                audience=self._audience,
                clock_skew_in_seconds=CLOCK_SKEW_SECONDS,
            )
        except (GoogleAuthError, ValueError, TypeError) as error:
            raise NotAuthorised(f"the token does not verify: {error}") from error
        _expiry_of(claims)
        return claims

    def _claims_that_cloud_run_checked(self, token: str) -> Mapping[str, object]:
        """Read the claims; audience and times are looked at again, since Cloud Run accepts more than one audience."""
        try:
            claims: Mapping[str, object] = jwt.decode(token, verify=False)  # type: ignore[no-untyped-call]  # untyped library
        except (GoogleAuthError, ValueError, TypeError, RecursionError):
            raise NotAuthorised("the bearer token is no ID token") from None
        if claims.get("aud") != self._audience:
            raise NotAuthorised(f"the token is made for {claims.get('aud')!r}, not for {self._audience!r}")
        if _expiry_of(claims) + CLOCK_SKEW_SECONDS < self._wall_clock():
            raise NotAuthorised("the token has expired")
        return claims

    def _certificates_with(self, key_id: str) -> Certificates:
        """Return the kept certificates, or fetch them anew when too old, or when a key is unknown that may be new."""
        with self._lock:  # one fetch, however many requests wait for it
            now = self._monotonic()
            if self._kept is not None:
                certificates, fetched_at = self._kept
                keep_seconds = certificates.max_age_seconds
                if key_id not in certificates.by_key_id:
                    keep_seconds = min(keep_seconds, _SHORTEST_REFETCH_SECONDS)
                if now - fetched_at < keep_seconds:
                    return certificates
            return self._fetched(now)

    def _fetched(self, now: float) -> Certificates:
        """Fetch anew; while that has just failed, say so again instead of asking for every caller (F8)."""
        if self._failed is not None and now - self._failed[1] < _SHORTEST_RETRY_SECONDS:
            raise Unavailable(self._failed[0])
        try:
            certificates = self._fetch()
        except Unavailable as error:
            self._failed = (str(error), self._monotonic())
            raise
        self._kept, self._failed = (certificates, now), None
        return certificates


def _token_of(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthorised("no bearer token; send `Authorization: Bearer` and a Google-signed ID token")
    return token.strip()


def _expiry_of(claims: Mapping[str, object]) -> float:
    """Return when the token ends. Python's JSON reads NaN, Infinity and endless integers, which no clock passes (F7)."""
    expires = claims.get("exp")
    if not isinstance(expires, int | float) or not 0 < expires < _NO_TIME_ANY_MORE:
        raise NotAuthorised("the token's exp is not a time")
    return expires


def _key_id_of(token: str) -> str:
    try:
        header = jwt.decode_header(token)  # type: ignore[no-untyped-call]  # the client is untyped
    except (GoogleAuthError, ValueError, RecursionError):
        # Without the cause, whose text repeats the token: it may be a live access token, and errors are logged.
        raise NotAuthorised("the bearer token is not a signed ID token (an access token is none)") from None
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm != "RS256" or not isinstance(key_id, str):
        raise NotAuthorised("the token does not name a key and RS256, as Google's ID tokens do")
    return key_id


def _email_of(claims: Mapping[str, object]) -> str:
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer not in _ISSUERS:
        raise NotAuthorised(f"the token's issuer is {issuer!r}, not Google")
    email = claims.get("email")
    if not isinstance(email, str) or not email:
        raise NotAuthorised("the token carries no e-mail address; ask for it when the token is made")
    if claims.get("email_verified") is not True:
        raise NotAuthorised(f"the token's e-mail address {email} is not verified")
    return email.lower()


def _certificates_in(body: bytes, url: str) -> dict[str, str]:
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise Unavailable(f"the certificates at {url} are not JSON") from error
    if not isinstance(parsed, dict) or not parsed or not all(isinstance(pem, str) for pem in parsed.values()):
        raise Unavailable(f"the answer of {url} is not a map of key ids to certificates")
    return parsed


def _max_age_seconds(cache_control: str) -> float:
    found = re.search(r"(?<![\w-])max-age=(\d+)", cache_control)
    return float(found[1]) if found else 0.0
