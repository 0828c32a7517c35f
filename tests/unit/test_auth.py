"""A token opens a route only when Google signed it, for us, now, for an account that the route allows.

The tokens are really signed (RS256) by a key made here; certificates are served over HTTP on loopback.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from shared.auth import Certificates, TokenVerifier, fetch_certificates
from shared.errors import CallerRefused, InvalidInput, NotAuthorised, Unavailable
from tests.tokens import ALLOWED, AUDIENCE, PUSHER, claims, segment


@dataclass(frozen=True)
class Signer:
    """A key pair with its certificate, as Google has them."""

    key_id: str
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def certificate(self) -> str:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer.example")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(name, name, self.key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(self.key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM).decode()

    def token(self, header: dict[str, object] | None = None, /, **changes: object) -> str:
        """Return a sound token for PUSHER, with changed claims (None leaves one out) and header."""
        signed = f"{segment({'alg': 'RS256', 'kid': self.key_id, **(header or {})})}.{segment(claims(**changes))}"
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


@dataclass
class Source:
    """Certificates that change, fail, and count how often they were asked for, on a clock set by hand."""

    by_key_id: dict[str, str]
    max_age_seconds: float = 3600
    fetched: int = 0
    down: bool = False
    now: float = 0.0

    def fetch(self) -> Certificates:
        if self.down:
            raise Unavailable("the certificates are out of reach")
        self.fetched += 1
        return Certificates(dict(self.by_key_id), self.max_age_seconds)

    def verifier(self) -> TokenVerifier:
        return TokenVerifier(AUDIENCE, fetch=self.fetch, monotonic=lambda: self.now)


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer("key-1")


@pytest.fixture(scope="session")
def stranger() -> Signer:
    return Signer("key-1")


@pytest.fixture
def source(signer: Signer) -> Source:
    return Source({signer.key_id: signer.certificate()})


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_sound_token_of_an_allowed_account_opens(source: Source, signer: Signer, scheme: str) -> None:
    assert source.verifier().verify(f"{scheme} {signer.token()}", allowed=ALLOWED) == PUSHER


def test_an_address_is_compared_in_lower_case(source: Source, signer: Signer) -> None:
    assert source.verifier().verify(f"Bearer {signer.token(email=PUSHER.upper())}", allowed=ALLOWED) == PUSHER


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwdw==", "x", "Bearer x", "Bearer a.b.c", "Bearer ..", "Bearer é.é.é"],
)
def test_what_is_no_token_is_refused_without_a_fetch(source: Source, header: str | None) -> None:
    with pytest.raises(NotAuthorised):
        source.verifier().verify(header, allowed=ALLOWED)

    assert source.fetched == 0


def test_a_deeply_nested_header_is_refused(source: Source) -> None:
    bomb = base64.urlsafe_b64encode(b"[" * 5_000).decode().rstrip("=")

    with pytest.raises(NotAuthorised):
        source.verifier().verify(f"Bearer {bomb}.e30.eA", allowed=ALLOWED)


def test_the_refusal_of_an_access_token_does_not_repeat_it(source: Source) -> None:
    with pytest.raises(NotAuthorised) as refused:
        source.verifier().verify("Bearer ya29.live-secret", allowed=ALLOWED)

    assert "live-secret" not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "https://other.example"}, "audience"),
        ({"aud": [AUDIENCE]}, "audience"),
        ({"aud": None}, "audience"),
        ({"iss": "https://accounts.evil.example"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"email": None}, "no e-mail"),
        ({"email": ""}, "no e-mail"),
        ({"email": [PUSHER]}, "no e-mail"),
        ({"email_verified": False}, "not verified"),
        ({"email_verified": "true"}, "not verified"),
        ({"email_verified": None}, "not verified"),
        ({"exp": None}, "exp"),
        ({"iat": None}, "iat"),
        ({"exp": "soon"}, "does not verify"),
    ],
)
def test_a_wrong_or_missing_claim_is_refused_by_name(
    source: Source, signer: Signer, claims: dict[str, object], reason: str
) -> None:
    with pytest.raises(NotAuthorised, match=reason):
        source.verifier().verify(f"Bearer {signer.token(**claims)}", allowed=ALLOWED)


def test_clocks_may_differ_by_ten_seconds_and_no_more(source: Source, signer: Signer) -> None:
    now, verifier = int(time.time()), source.verifier()

    verifier.verify(f"Bearer {signer.token(exp=now - 5)}", allowed=ALLOWED)
    verifier.verify(f"Bearer {signer.token(iat=now + 5)}", allowed=ALLOWED)
    for changes in ({"exp": now - 30}, {"iat": now + 30}):
        with pytest.raises(NotAuthorised, match="does not verify"):
            verifier.verify(f"Bearer {signer.token(**changes)}", allowed=ALLOWED)


def test_a_token_signed_by_another_key_is_refused(source: Source, stranger: Signer) -> None:
    with pytest.raises(NotAuthorised, match="signature"):
        source.verifier().verify(f"Bearer {stranger.token()}", allowed=ALLOWED)


def test_a_token_changed_after_signing_is_refused(source: Source, signer: Signer) -> None:
    head, _, signature = signer.token().split(".")
    changed = json.loads(base64.urlsafe_b64decode(signer.token().split(".")[1] + "=="))
    forged = f"{head}.{segment(changed | {'email': 'boss@demo.iam.gserviceaccount.com'})}.{signature}"

    with pytest.raises(NotAuthorised, match="signature"):
        source.verifier().verify(f"Bearer {forged}", allowed=ALLOWED | {"boss@demo.iam.gserviceaccount.com"})


@pytest.mark.parametrize(
    "header", [{"alg": "none"}, {"alg": "HS256"}, {"alg": "ES256"}, {"alg": None}, {"kid": None}, {"kid": ["key-1"]}]
)
def test_only_rs256_under_a_named_key_is_accepted(source: Source, signer: Signer, header: dict[str, object]) -> None:
    with pytest.raises(NotAuthorised, match="RS256"):
        source.verifier().verify(f"Bearer {signer.token(header)}", allowed=ALLOWED)


def test_a_sound_token_of_a_stranger_is_refused_as_such(source: Source, signer: Signer) -> None:
    with pytest.raises(CallerRefused, match=r"eve@.* may not call"):
        source.verifier().verify(f"Bearer {signer.token(email='eve@example.com')}", allowed=ALLOWED)


def test_nobody_is_allowed_where_nobody_is_listed(source: Source, signer: Signer) -> None:
    with pytest.raises(CallerRefused):
        source.verifier().verify(f"Bearer {signer.token()}", allowed=frozenset())


@pytest.mark.parametrize("audience", ["", "  "])
def test_an_empty_audience_is_refused_at_the_start(audience: str) -> None:
    with pytest.raises(InvalidInput, match="audience"):
        TokenVerifier(audience)


def test_certificates_are_fetched_once_until_they_are_too_old(source: Source, signer: Signer) -> None:
    verifier, header = source.verifier(), f"Bearer {signer.token()}"

    for now, fetched in ((0.0, 1), (3599.0, 1), (3600.0, 2), (7199.0, 2)):
        source.now = now
        verifier.verify(header, allowed=ALLOWED)
        assert source.fetched == fetched


def test_certificates_out_of_reach_are_passing_trouble_and_old_ones_do_not_stand_in(
    source: Source, signer: Signer
) -> None:
    verifier, header = source.verifier(), f"Bearer {signer.token()}"
    verifier.verify(header, allowed=ALLOWED)

    source.down, source.now = True, 3601.0

    with pytest.raises(Unavailable):
        verifier.verify(header, allowed=ALLOWED)


def test_a_new_key_is_found_within_a_minute_and_unknown_keys_cannot_cause_more_fetches(source: Source) -> None:
    rotated, verifier = Signer("key-2"), source.verifier()
    header = f"Bearer {rotated.token()}"

    for now in (0.0, 30.0, 59.0):
        source.now = now
        with pytest.raises(NotAuthorised, match="key-2"):
            verifier.verify(header, allowed=ALLOWED)
    source.by_key_id["key-2"] = rotated.certificate()
    source.now = 60.0

    assert verifier.verify(header, allowed=ALLOWED) == PUSHER
    assert source.fetched == 2


def test_many_threads_fetch_once(source: Source, signer: Signer) -> None:
    verifier, header = source.verifier(), f"Bearer {signer.token()}"
    emails: list[str] = []
    threads = [
        threading.Thread(target=lambda: emails.append(verifier.verify(header, allowed=ALLOWED))) for _ in range(8)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (emails, source.fetched) == ([PUSHER] * 8, 1)


# --- over HTTP ------------------------------------------------------------------------------------------------


@contextmanager
def served(body: bytes, *, status: int = 200, cache_control: str | None = None) -> Iterator[str]:
    """Serve one answer on loopback; gives its URL."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if cache_control is not None:
                self.send_header("Cache-Control", cache_control)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/certs"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_certificates_come_over_http_with_their_age(signer: Signer) -> None:
    body = json.dumps({signer.key_id: signer.certificate()}).encode()

    with served(body, cache_control="public, max-age=19800, must-revalidate") as url:
        certificates = fetch_certificates(url)
        verifier = TokenVerifier(AUDIENCE, fetch=lambda: fetch_certificates(url))
        email = verifier.verify(f"Bearer {signer.token()}", allowed=ALLOWED)

    assert certificates.max_age_seconds == 19800
    assert email == PUSHER


@pytest.mark.parametrize("cache_control", [None, "no-store", "s-maxage=60"])
def test_certificates_without_an_age_are_not_kept(cache_control: str | None) -> None:
    with served(b'{"key-1": "pem"}', cache_control=cache_control) as url:
        assert fetch_certificates(url).max_age_seconds == 0


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b"{}"), (404, b"{}"), (200, b"<html>"), (200, b"\xff"), (200, b"{}"), (200, b"[]"), (200, b'{"a": 1}')],
)
def test_an_answer_without_certificates_is_passing_trouble(status: int, body: bytes) -> None:
    with served(body, status=status) as url, pytest.raises(Unavailable, match="certificates"):
        fetch_certificates(url)


def test_a_server_out_of_reach_is_passing_trouble() -> None:
    with served(b"{}") as url:
        pass

    with pytest.raises(Unavailable, match="out of reach"):
        fetch_certificates(url)
