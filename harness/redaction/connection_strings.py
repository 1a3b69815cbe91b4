"""Connection strings lose their credentials: `mysql://user:pw@host/db` → `mysql://***@host/db`.

People put passwords into URLs without escaping them, so that a password may hold
`@`, `/`, `?` or blanks. Where a string can be read in two ways, the reading that
masks more wins; a URL without a password (`https://host:8080/@scope/name`) stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["MASK", "credential_spans", "redact_connection_strings"]

MASK = b"***"

_HEAD = re.compile(rb"(?<![A-Za-z0-9+.\-])(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]{0,31})://")
# A mask of ours holds angle brackets; they may stand inside, but none else.
_RUN = re.compile(rb"(?:<secret:[^<>\s]*>|[^\x00-\x20\x7f\"'<>`\\]|\\(?![nrt\"'])){1,2048}")
_QUERY = re.compile(rb"[?&][A-Za-z_][\w.\-]*=")
_USER_AND_REST = re.compile(rb"[^/?#:@\[]*:(?P<rest>[^/?#]*)")
_PORT = re.compile(rb"\d{0,5}")
# A password with blanks or quotes; what follows the `@` must look like a host.
_ODD = re.compile(
    rb"[^\s:/@\[\"'<>]{0,64}:(?!\d{1,5}(?:[/\s\"',;)]|$))(?![\s/])[^\x00-\x08\x0a-\x1f@]{1,128}@(?=[A-Za-z0-9\[(])"
)
_GO_DSN = re.compile(rb"(?<![\w.\-])[\w.\-]{1,64}:[^\s\"']{1,128}@(?=(?:tcp|tcp6|udp|unix)\()")
_PLACEHOLDER = re.compile(
    rb"(?:(?:<[^<>]*>|[^:])*:)?(?:\*+|x{3,}|\.{3}|<[^<>]*>|\$\{[^}]*\}|\$[A-Za-z_]\w*|\{[^}]*\}|%\w+%|%[sr])"
    rb"|\[\^?.*"  # a regular expression for connection strings
)
# A long word with a digit instead of a user is a token, as in `https://<token>@host/`.
_TOKEN = re.compile(rb"(?=[^\d]*\d)[\w.\-]{20,}")
_HOST = re.compile(rb"[A-Za-z0-9\[(*<${]")
_NEXT_URL = re.compile(rb"[,;|]?[A-Za-z][A-Za-z0-9+.\-]*://")
# Their paths hold `@` as a matter of course (npm scopes, versions, user pages).
_WEB = re.compile(rb"(?:git\+|svn\+|hg\+)?(?:https?|wss?|ftps?|ssh|file|s3|gs|oci|git|pkg|npm)")


@dataclass(frozen=True, slots=True)
class _Credentials:
    start: int
    end: int


def redact_connection_strings(data: bytes) -> bytes:
    """The same bytes with `***` in place of every connection string's user and password."""
    if b"@" not in data:
        return data
    pieces: list[bytes] = []
    done = 0
    for span in _credentials(data):
        pieces += (data[done : span.start], MASK)
        done = span.end
    return b"".join((*pieces, data[done:]))


def credential_spans(data: bytes) -> list[tuple[int, int]]:
    """Where a password stands in a connection string; masks, references and lone users do not.

    Returns:
        Start and end of `user:password`, in order.
    """
    found: list[tuple[int, int]] = []
    if b"@" not in data:
        return found
    for span in _credentials(data):
        userinfo = data[span.start : span.end]
        user, colon, password = userinfo.partition(b":")
        token = not colon and _TOKEN.fullmatch(user) is not None
        if not _HOST.match(data, span.end + 1):
            continue
        if ((colon and password) or token) and not _PLACEHOLDER.fullmatch(userinfo):
            found.append((span.start, span.end))
    return found


def _credentials(data: bytes) -> Iterator[_Credentials]:
    spans = [
        *_of_urls(data),
        *(_Credentials(m.start(), m.end() - 1) for m in _GO_DSN.finditer(data)),
    ]
    end = 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.start >= end and data[span.start : span.end] != MASK:
            yield span
            end = span.end


def _of_urls(data: bytes) -> Iterator[_Credentials]:
    position = 0
    while (head := _HEAD.search(data, position)) is not None:
        position = head.end()
        if head["scheme"].lower() == b"scheme":  # how manuals write the general form
            continue
        length = _userinfo_length(head["scheme"].lower(), data, position)
        if length:
            yield _Credentials(position, position + length)
            position += length


def _userinfo_length(scheme: bytes, data: bytes, start: int) -> int:
    match = _RUN.match(data, start)
    run = match[0] if match else b""
    following = _NEXT_URL.search(run, run.find(b"@") + 1)
    run = run[: following.start()] if following else run
    web = _WEB.fullmatch(scheme) is not None
    first = run.find(b"@")
    if first < 0:
        odd = None if web else _ODD.match(data, start)
        return len(odd[0]) - 1 if odd else 0
    if not _is_userinfo(run[:first], web=web):
        return 0
    query = _QUERY.search(run, first)
    limit = query.start() if query else len(run)
    if web:
        slash = run.find(b"/", first)
        limit = min(limit, slash) if slash >= 0 else limit
    return run.rfind(b"@", 0, limit)


def _is_userinfo(before: bytes, *, web: bool) -> bool:
    """Whether what stands before the first `@` is a user, and not a host and the path after it."""
    if not any(delimiter in before for delimiter in (b"/", b"?", b"#")):
        return True
    match = _USER_AND_REST.match(before)
    if match is None:
        return False
    if _PORT.fullmatch(match["rest"]) is None:
        return True
    return not web and b"?" not in before and match["rest"] != b""
