"""Part 5: the check of a caller's token beside the one thing in it that cannot be spared, an RSA verification."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from shared.auth import Certificates, TokenVerifier
from tests.tokens import ALLOWED, AUDIENCE
from tests.unit.test_auth import Signer

SIZES = (2_000,)
OURS, FLOOR = "Tipoff's token check", "RSA verification alone"
_ROUNDS = 5


def measure(sizes: Sequence[int]) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    """Measure both, in turns, so many tokens a round; certificates are at hand, as they are but once in hours."""
    signer = Signer("key-1")
    certificate, token = signer.certificate(), signer.token()
    verifier = TokenVerifier(AUDIENCE, fetch=lambda: Certificates({"key-1": certificate}, 3_600))
    key = signer.key.public_key()
    signed = b"a message of a token's length" * 16
    signature = signer.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    sides: Mapping[str, Callable[[], object]] = {
        OURS: lambda: verifier.verify(f"Bearer {token}", allowed=ALLOWED),
        FLOOR: lambda: key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256()),
    }
    for size in sizes:
        for _ in range(_ROUNDS):
            for side, check in sides.items():
                began = time.perf_counter()
                for _ in range(size):
                    check()
                yield side, "a token", {"milliseconds": 1_000 * (time.perf_counter() - began) / size}
