"""The folder in which a session leaves its verdict: `<reports>/<session>/`.

It holds `verdict.json` (docs/reference/verdict.md) and `junit.xml`. Both appear
together and whole; what reads them never sees a half-written one. Both are
redacted before the first byte is written.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from harness.errors import BrokenError
from harness.model.run import Json
from harness.model.verdict import Verdict
from harness.redaction import Redactor
from harness.reports.junit import junit_of, redact_junit
from harness.reports.storage import write_files

__all__ = ["JUNIT_FILE", "VERDICT_FILE", "read_verdict", "write_session"]

VERDICT_FILE = "verdict.json"
JUNIT_FILE = "junit.xml"
_SESSION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def write_session(
    reports: Path,
    verdict: Verdict,
    *,
    junit: bytes | None = None,
    redactor: Redactor | None = None,
) -> Path:
    """Writes a session's report and tells where.

    Args:
        reports: the folder of all reports, such as `testing_env/reports`; made where missing.
        verdict: what the session found.
        junit: the JUnit XML that pytest wrote; made from the verdict's checks where left out.
        redactor: what must not be written; the secrets of this process where left out.

    Returns:
        The session's folder, `<reports>/<verdict.session>`.

    Raises:
        BrokenError: if the session's name is no file name, or the disk takes no report.
    """
    if not _SESSION_NAME.fullmatch(verdict.session):
        raise BrokenError(
            f"a session called {verdict.session!r} has no folder of its own",
            expected="a name of letters, digits, dots, dashes and underscores",
            next_step="rename the session in the noxfile",
        )
    folder = reports / verdict.session
    redactor = redactor or Redactor.of_process(root=_root(reports))
    document = json.dumps(redactor.json(verdict.to_json()), indent=2, ensure_ascii=False) + "\n"
    write_files(
        folder,
        {
            JUNIT_FILE: _redacted(junit_of(verdict) if junit is None else junit, redactor),
            VERDICT_FILE: document.encode("utf-8", "backslashreplace"),
        },
    )
    return folder


def read_verdict(path: Path) -> Verdict:
    """Reads a `verdict.json`.

    Raises:
        BrokenError: if the file is missing, truncated, or not a verdict.
    """
    try:
        return _verdict(json.loads(path.read_bytes()))
    except OSError as error:
        cause = error.strerror or str(error)
    except KeyError as error:
        cause = f"it has no {error}"
    except (TypeError, ValueError) as error:
        cause = str(error)
    raise BrokenError(
        f"{path} is not a verdict: {cause}",
        expected="the verdict.json that a session writes when it ends",
        next_step=f"run the session again: nox -s {path.parent.name}",
    )


def _root(reports: Path) -> Path | None:
    """The project folder whose `.env` files count; None for the working directory."""
    return reports.parent.parent if reports.parent.name == "testing_env" else None


def _redacted(junit: bytes, redactor: Redactor) -> bytes:
    try:
        return redact_junit(junit, redactor.text)
    except BrokenError:
        # Truncated or foreign: kept for whoever looks for the cause. Readers name it as broken.
        return redactor.data(junit)


def _verdict(document: Json) -> Verdict:
    if not isinstance(document, dict):
        raise TypeError(f"a {type(document).__name__} where an object should be")
    return Verdict.from_json(document)
