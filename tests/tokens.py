"""Parts of an identity token as Google makes them for a pushing subscription, and as a forger would change them."""

from __future__ import annotations

import base64
import json
import time

AUDIENCE = "https://tipoff.example"
PUSHER = "push@demo.iam.gserviceaccount.com"
ALLOWED = frozenset({PUSHER})


def segment(value: object) -> str:
    """One of a token's parts: JSON in base64 for addresses."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def claims(**changes: object) -> dict[str, object]:
    """What a sound token of PUSHER says, with changes; None leaves a claim out."""
    now = int(time.time())
    sound: dict[str, object] = {
        "iss": "https://accounts.google.com",
        "aud": AUDIENCE,
        "iat": now - 5,
        "exp": now + 3600,
        "email": PUSHER,
        "email_verified": True,
    }
    return {name: value for name, value in (sound | changes).items() if value is not None}
