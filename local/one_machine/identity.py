"""The identity token that a deployed coordinator asks of its callers: from gcloud, or from Google Cloud's metadata server.

Knows Google's two sources of tokens; must never learn what a token is used for. Tokens are printed and logged nowhere.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import requests

from local.one_machine.gcloud import Gcloud, error_of
from shared.errors import InvalidInput, Unavailable

Answer = TypeVar("Answer")

TOKEN_SECONDS = 45 * 60
"""So long a token is used: Google's hold for an hour."""
METADATA_URL = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity"
_METADATA_SECONDS = 3
_NO_AUDIENCE = "Requires valid service account"
"""What gcloud says where a person's own account asks for an audience, which only service accounts may choose."""


class Tokens:
    """The identity token at hand, and a new one before it ends or once it is refused; safe to share between threads.

    Args:
        new_token: gives an identity token; None where none is needed.
        monotonic: seconds that only grow, for the token's age.
    """

    def __init__(self, new_token: Callable[[], str | None], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._new_token, self._monotonic = new_token, monotonic
        self._lock = threading.Lock()
        self._kept: tuple[str | None, float] | None = None

    def token(self) -> str | None:
        """Return a token that holds for a while yet. Raises as `identity_token`."""
        with self._lock:
            if self._kept is None or self._monotonic() - self._kept[1] > TOKEN_SECONDS:
                self._kept = self._new_token(), self._monotonic()
            return self._kept[0]

    def used(self, ask: Callable[[str | None], Answer], *, status: Callable[[Answer], int]) -> Answer:
        """Ask with a token, and once more with a new one where the answer is that it does not hold (401).

        A token's age is not all: its clock stands still while a machine sleeps, and the metadata server gives tokens
        that it has kept. Nothing is done twice, since a request whose token is refused does nothing.
        """
        token = self.token()
        answer = ask(token)
        if token is None or status(answer) != requests.codes.unauthorized:
            return answer
        self._forget(token)
        return ask(self.token())

    def _forget(self, token: str) -> None:
        with self._lock:
            if self._kept is not None and self._kept[0] == token:  # else another thread has a newer one already
                self._kept = None


def identity_token(
    audience: str, *, impersonate: str | None = None, search_path: str | None = None, metadata_url: str = METADATA_URL
) -> str:
    """Return a Google-signed identity token for an audience.

    gcloud is asked where it is installed, else the metadata server, which answers on Google Cloud only.

    Args:
        impersonate: the service account to be, through gcloud.
        metadata_url: where the metadata server answers.
        search_path: folders to look for gcloud in; those of PATH without it.

    Raises:
        InvalidInput: there is no account to be; says how to become one.
        Unavailable: gcloud or the metadata server did not answer in time.
    """
    gcloud = Gcloud.found(search_path)
    if gcloud is not None:
        return _from_gcloud(gcloud, audience, impersonate)
    if impersonate is not None:
        raise InvalidInput("--impersonate", "needs gcloud, which is not on the PATH; install the Google Cloud SDK")
    return _from_metadata(audience, metadata_url)


def _from_gcloud(gcloud: Gcloud, audience: str, impersonate: str | None) -> str:
    command = ["auth", "print-identity-token"]
    for_audience = [f"--audiences={audience}"]
    if impersonate is not None:
        # Without its e-mail address in it the coordinator cannot tell whose token it is.
        for_audience += [f"--impersonate-service-account={impersonate}", "--include-email"]
    done = gcloud.called(*command, *for_audience)
    if done.returncode and impersonate is None and _NO_AUDIENCE in done.stderr:
        done = gcloud.called(*command)
    if done.returncode or not done.stdout.strip():
        problem = "gave no identity token; log in with `gcloud auth login`"
        raise InvalidInput("gcloud", f"{problem} (it said: {error_of(done.stderr)})")
    return done.stdout.strip()


def _from_metadata(audience: str, url: str) -> str:
    # The full format is the one that holds the account's e-mail address on every product.
    query = {"audience": audience, "format": "full"}
    session = requests.Session()
    session.trust_env = False
    try:
        answer = session.get(url, params=query, headers={"Metadata-Flavor": "Google"}, timeout=_METADATA_SECONDS)
    except requests.RequestException as error:
        raise InvalidInput(
            "--url", "needs an identity token; install gcloud and log in, or run this on Google Cloud"
        ) from error
    if answer.status_code != requests.codes.ok:
        raise Unavailable(f"the metadata server answered {answer.status_code} when asked for an identity token")
    return answer.text.strip()
