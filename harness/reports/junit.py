"""JUnit XML: made from a verdict, read as checks, redacted, merged into one file.

It reads what pytest writes and what other tools make of the same format; what it
cannot read is an error that names the cause, never an empty result. What it writes
holds to the schema that strict readers check.
Source: jenkinsci/xunit-plugin types/model/xsd/junit-10.xsd: no `skipped` on `testsuites`, no
`file` and `line` on `testcase`.
"""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping

from junitparser import Error, Failure, JUnitXml, JUnitXmlError, Skipped, TestCase, TestSuite

from harness.errors import BrokenError
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict

__all__ = ["checks_of", "junit_of", "merge_junit", "redact_junit"]

MAX_REASON_CHARACTERS = 4_000  # The whole text stays in junit.xml.

# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LOCATION = re.compile(r"^(?P<place>[^\s:]+\.py:\d+):", re.MULTILINE)
_FIRST_LOCATION = re.compile(r"(?P<place>[^\n:]+:\d+): ")
_FAILED, _BROKEN, _NOT_RUN = "failed", "broken", "not_run"
_OUR_TYPES = frozenset({_FAILED, _BROKEN, _NOT_RUN})
_FOREIGN_CODE = ("site-packages", "dist-packages", "/lib/python", "<")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


def junit_of(verdict: Verdict) -> bytes:
    """The verdict's checks as JUnit XML in UTF-8, one suite named like the session."""
    document = JUnitXml()
    document.append(_suite(verdict.session, verdict.checks))
    return _bytes(document)


def checks_of(junit: bytes) -> tuple[Check, ...]:
    """The test cases of a JUnit file as checks, in their order, each with a name of its own.

    A failure is FAILED, an error BROKEN, a skipped case NOT_RUN; where a case has
    several results, the worst one counts. A reason is cut at 4,000 characters.

    Raises:
        BrokenError: if the bytes are truncated, no XML, or no JUnit.
    """
    seen: Counter[str] = Counter()
    checks: list[Check] = []
    for element in _document(junit)._elem.iter("testcase"):  # noqa: SLF001 - at any depth
        case = TestCase.fromelem(element)
        name = _name(case)
        seen[name] += 1
        checks.append(_check(case, name if seen[name] == 1 else f"{name} ({seen[name]})"))
    return tuple(checks)


def redact_junit(junit: bytes, redact: Callable[[str], str]) -> bytes:
    """The same file with every text and attribute redacted; the markup stays whole.

    Raises:
        BrokenError: if the bytes are truncated, no XML, or no JUnit.
    """
    document = _document(junit)
    for element in document._elem.iter():  # noqa: SLF001 - junitparser shows only what it knows
        if isinstance(element.text, str):
            element.text = _text(redact(element.text))
        if isinstance(element.tail, str):
            element.tail = _text(redact(element.tail))
        for name, value in element.attrib.items():
            element.set(name, _text(redact(value)))
    return _bytes(document, count=False)


def merge_junit(sessions: Mapping[str, bytes | Check]) -> bytes:
    """One file of all sessions; each suite is named like its session.

    Args:
        sessions: what each session wrote, or the check that says why there is nothing to read.
    """
    merged = JUnitXml("e2b-harness")
    for session, content in sessions.items():
        if isinstance(content, Check):
            merged.append(_suite(session, (content,)))
            continue
        for suite in _document(content):
            suite.name = _text(session)
            merged.append(suite)  # add_testsuite would merge suites that look alike
    return _bytes(merged)


def _document(junit: bytes) -> JUnitXml:
    try:
        return _tolerant(JUnitXml.fromstring(junit))
    except SyntaxError as error:  # both of junitparser's XML libraries raise a subclass of it
        cause = f"no whole XML: {error.msg}"
    except (JUnitXmlError, ValueError, LookupError) as error:
        cause = str(error)
    raise BrokenError(
        f"the JUnit file cannot be read: {cause}",
        expected="JUnit XML: testsuites or testsuite at its root, and whole",
        next_step="run the session again; a run that was killed leaves a truncated file",
    )


def _tolerant(document: JUnitXml) -> JUnitXml:
    """Gives cases outside a suite a suite, and drops times that are no numbers."""
    root = document._elem  # noqa: SLF001 - junitparser shows only what it knows
    loose = root.findall("testcase")
    if loose:
        suite = TestSuite("cases")
        for element in loose:
            root.remove(element)
            suite.append(TestCase.fromelem(element))
        document.append(suite)
    for element in root.iter("testcase"):
        time = element.attrib.get("time", "0").replace(",", "")
        try:
            finite = math.isfinite(float(time))
        except ValueError:  # some tools write "1.2s" or "-"
            finite = False
        if not finite:
            del element.attrib["time"]
    return document


def _bytes(document: JUnitXml, *, count: bool = True) -> bytes:
    if count:
        document.update_statistics()
        document._elem.attrib.pop("skipped", None)  # noqa: SLF001 - junitparser always counts them there
    buffer = io.BytesIO()
    document.write(buffer)
    return buffer.getvalue()


def _suite(session: str, checks: tuple[Check, ...]) -> TestSuite:
    suite = TestSuite(_text(session))
    suite.add_testcases([_case(session, check) for check in checks])
    return suite


def _case(session: str, check: Check) -> TestCase:
    case = TestCase(_text(check.name), _text(session), round(check.duration_s, 3))
    reason = _text(check.reason)
    if check.outcome is Outcome.FAILED:
        result: Failure | Error | Skipped = Failure(_first_line(reason), _FAILED)
    elif check.outcome is Outcome.BROKEN:
        result = Error(_first_line(reason), _BROKEN)
    elif check.outcome is Outcome.NOT_RUN:
        result = Skipped(_first_line(reason), _NOT_RUN)
    else:
        return case
    place = _text(check.location)
    result.text = reason if reason.startswith(place) else f"{place}: {reason}"
    case.result = [result]
    return case


def _check(case: TestCase, name: str) -> Check:
    results = case.result
    for kind, outcome in (
        (Error, Outcome.BROKEN),
        (Failure, Outcome.FAILED),
        (Skipped, Outcome.NOT_RUN),
    ):
        result = next((result for result in results if isinstance(result, kind)), None)
        if result is not None:
            text = result.text or ""
            reason = (result.message or text or result.type or "no reason is given").strip()
            return Check(
                name=name,
                outcome=outcome,
                reason=reason[:MAX_REASON_CHARACTERS],
                duration_s=case.time or 0.0,
                location=_location(case, text, ours=result.type in _OUR_TYPES),
            )
    return Check(name=name, outcome=Outcome.PASSED, duration_s=case.time or 0.0)


def _location(case: TestCase, text: str, *, ours: bool) -> str:
    first = _FIRST_LOCATION.match(text) if ours else None
    if first:
        return first["place"]
    places = [match["place"] for match in _LOCATION.finditer(text)]
    own = [place for place in places if not any(part in place for part in _FOREIGN_CODE)]
    if own or places:
        return (own or places)[-1]
    attributes = case._elem.attrib  # noqa: SLF001 - no getter for file and line
    file, line = attributes.get("file", ""), attributes.get("line", "")
    return f"{file}:{line}" if file and line else file


def _name(case: TestCase) -> str:
    """The node id of pytest where the class name gives it, else `class::name`."""
    name, classname = case.name or "?", case.classname or ""
    parts = classname.split(".")
    if not all(_IDENTIFIER.fullmatch(part) for part in parts):
        return f"{classname}::{name}" if classname else name
    modules = [part for part in parts if not part[0].isupper()]
    classes = parts[len(modules) :]
    if not modules or not modules[-1].startswith("test_") or modules + classes != parts:
        return f"{classname}::{name}"
    return "::".join(("/".join(modules) + ".py", *classes, name))


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _text(text: str) -> str:
    return _NOT_XML.sub(lambda match: f"#x{ord(match[0]):02X}", text)
