"""A refusal in E2B's words, for those who decide and leave the answering to others."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ApiError"]


class ApiError(Exception):
    """A refusal with E2B's status, words and headers.

    Args:
        status: the HTTP status, also the body's `code`.
        message: the body's `message`.
        error_code: the body's `error_code`, left out where None.
        headers: further response headers.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        error_code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error_code = error_code
        self.headers = dict(headers or {})
