"""F7: a token whose `exp` was no finite number never ended, and an `iss` that was no text answered 500."""

from __future__ import annotations

import pytest

from shared.auth import REMOVED_SIGNATURE, TokenVerifier
from shared.errors import NotAuthorised
from tests.tokens import ALLOWED, AUDIENCE
from tests.unit.test_auth import Signer, Source

CLAIMS: list[dict[str, object]] = [
    {"exp": float("nan")},
    {"exp": float("inf")},
    {"exp": 10**400},
    {"iss": ["https://accounts.google.com"]},
    {"iss": {"https://accounts.google.com": 1}},
]


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer("key-1")


@pytest.mark.parametrize("claims", CLAIMS)
def test_f7_a_signed_token_without_an_end_or_an_issuer_in_text_is_not_authorised(
    signer: Signer, claims: dict[str, object]
) -> None:
    verifier = Source({signer.key_id: signer.certificate()}).verifier()

    with pytest.raises(NotAuthorised, match=r"exp|issuer"):
        verifier.verify(f"Bearer {signer.token(**claims)}", allowed=ALLOWED)


@pytest.mark.parametrize("claims", CLAIMS)
def test_f7_nor_is_one_whose_signature_cloud_run_has_removed(signer: Signer, claims: dict[str, object]) -> None:
    verifier = TokenVerifier(AUDIENCE, behind_cloud_run=True, fetch=Source({}).fetch)
    unsigned = signer.token(**claims).rpartition(".")[0]

    with pytest.raises(NotAuthorised, match=r"exp|issuer"):
        verifier.verify(f"Bearer {unsigned}.{REMOVED_SIGNATURE}", allowed=ALLOWED)
