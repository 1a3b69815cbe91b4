"""JUnit XML: made from a verdict, read with tolerance, merged into one file."""

from __future__ import annotations

import io
import re

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict

__all__ = ["junit_of"]

# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_of(verdict: Verdict) -> bytes:
    """The verdict's checks as JUnit XML in UTF-8, one suite named like the session."""
    suite = TestSuite(_text(verdict.session))
    suite.timestamp = verdict.started_at.isoformat()
    suite.add_testcases([_case(verdict.session, check) for check in verdict.checks])
    document = JUnitXml()
    document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]  # junitparser leaves it bare
    buffer = io.BytesIO()
    document.write(buffer)
    return buffer.getvalue()


def _case(session: str, check: Check) -> TestCase:
    case = TestCase(_text(check.name), _text(session), round(check.duration_s, 3))
    reason = _text(check.reason)
    if check.outcome is Outcome.FAILED:
        result: Failure | Error | Skipped = Failure(_first_line(reason), "failed")
    elif check.outcome is Outcome.BROKEN:
        result = Error(_first_line(reason), "broken")
    elif check.outcome is Outcome.NOT_RUN:
        result = Skipped(_first_line(reason), "not_run")
    else:
        return case
    result.text = reason
    case.result = [result]
    return case


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _text(text: str) -> str:
    return _NOT_XML.sub(lambda match: f"#x{ord(match[0]):02X}", text)
