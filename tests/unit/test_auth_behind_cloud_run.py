"""Behind Cloud Run's IAM a checked token arrives without its signature; everything else that it says still counts."""

from __future__ import annotations

import pytest

from shared.auth import REMOVED_SIGNATURE, Certificates, TokenVerifier, token_header
from shared.errors import CallerRefused, NotAuthorised, Unavailable
from tests.tokens import ALLOWED, AUDIENCE, PUSHER, claims, segment


def header(signature: str = REMOVED_SIGNATURE, /, **changes: object) -> str:
    """A token that IAM has checked, with changed claims; None leaves one out."""
    return f"Bearer {segment({'alg': 'RS256', 'kid': 'key-1'})}.{segment(claims(**changes))}.{signature}"


def out_of_reach() -> Certificates:
    raise Unavailable("the certificates are out of reach")


def behind_cloud_run() -> TokenVerifier:
    return TokenVerifier(AUDIENCE, behind_cloud_run=True, fetch=out_of_reach)


def test_a_token_that_cloud_run_has_checked_opens() -> None:
    assert behind_cloud_run().verify(header(), allowed=ALLOWED) == PUSHER


def test_elsewhere_anybody_could_have_made_it() -> None:
    verifier = TokenVerifier(AUDIENCE, fetch=lambda: Certificates({}, 3600))

    with pytest.raises(NotAuthorised):
        verifier.verify(header(), allowed=ALLOWED)


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("aud", "https://another.example"),
        ("aud", None),
        ("exp", 1_700_000_000),
        ("exp", None),
        ("exp", "tomorrow"),
        ("iss", "https://issuer.example"),
        ("email", None),
        ("email_verified", False),
    ],
)
def test_its_claims_are_looked_at_all_the_same(claim: str, value: object) -> None:
    with pytest.raises(NotAuthorised):
        behind_cloud_run().verify(header(**{claim: value}), allowed=ALLOWED)


def test_its_account_must_be_allowed() -> None:
    with pytest.raises(CallerRefused):
        behind_cloud_run().verify(header(email="stranger@demo.iam.gserviceaccount.com"), allowed=ALLOWED)


@pytest.mark.parametrize("signature", ["AAAA", "", f"x{REMOVED_SIGNATURE}"])
def test_any_other_signature_is_verified_as_everywhere(signature: str) -> None:
    with pytest.raises((Unavailable, NotAuthorised)):
        behind_cloud_run().verify(header(signature), allowed=ALLOWED)


def test_of_two_headers_only_the_one_that_cloud_run_checks_counts() -> None:
    assert token_header({"Authorization": "Bearer a"}) == "Bearer a"
    assert token_header({"Authorization": "Bearer a", "X-Serverless-Authorization": "Bearer b"}) == "Bearer b"
    assert token_header({}) is None
