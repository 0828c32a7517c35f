"""What stands between a browser and the admin actions: proof that a form is our own page's, and headers that confine pages.

A page carries a random token twice, in a cookie that other sites can neither read nor send and in its forms; only a
post that brings both back is acted upon. No instance keeps anything, so any instance can answer the post.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from urllib.parse import quote, unquote

from flask import Request, Response

from shared.edge import check_site, is_loopback
from shared.errors import CallerRefused

FORM_FIELD = "form_token"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_FORM_COOKIE, _SAID_COOKIE = "tipoff_form", "tipoff_said"
_SAID_LASTS_SECONDS = 60
_SAID_LENGTH = 1200


def token_for(asked: Request) -> str:
    """The token of the browser's cookie; a new one where it has none."""
    held = asked.cookies.get(_FORM_COOKIE, "")
    return held if _TOKEN.fullmatch(held) else secrets.token_urlsafe(32)


def check_form(asked: Request) -> None:
    """Let a post through that one of our own pages made.

    Raises:
        CallerRefused: the browser says that another site made it, or it does not bring the token back twice.
    """
    check_site(asked)
    held, given = asked.cookies.get(_FORM_COOKIE, ""), asked.form.get(FORM_FIELD, "")
    if not _TOKEN.fullmatch(held) or not hmac.compare_digest(held.encode(), given.encode()):
        raise CallerRefused("the form does not match this browser's cookie; go back, load the page again and repeat")


def keep_token(answer: Response, asked: Request, token: str) -> None:
    """Have the browser keep the token until it is closed."""
    _set_cookie(answer, asked, _FORM_COOKIE, token)


def say_next(answer: Response, asked: Request, words: str) -> None:
    """Leave words for the next page, once."""
    _set_cookie(answer, asked, _SAID_COOKIE, quote(words[:_SAID_LENGTH], safe=""), lasting=_SAID_LASTS_SECONDS)


def take_words(answer: Response, asked: Request) -> None:
    """Forget the words that were left for the page at hand."""
    if _SAID_COOKIE in asked.cookies:
        _set_cookie(answer, asked, _SAID_COOKIE, "", lasting=0)


def words_for(asked: Request) -> str:
    """The words that were left for this page; empty where none are."""
    return unquote(asked.cookies.get(_SAID_COOKIE, ""))


def page_headers(*, style: str, script: str) -> Mapping[str, str]:
    """Headers of every page: it may run this very style and script, talk to its own service, and nothing else."""
    policy = (
        "default-src 'none'",
        f"style-src '{_digest(style)}'",
        f"script-src '{_digest(script)}'",
        "connect-src 'self'",
        "img-src data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _set_cookie(answer: Response, asked: Request, name: str, value: str, *, lasting: int | None = None) -> None:
    answer.set_cookie(
        name, value, max_age=lasting, secure=not is_loopback(asked), httponly=True, samesite="Strict", path="/"
    )
