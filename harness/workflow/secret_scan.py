"""The category secret-scan: is a secret in the repository, in a log, in a report?

It is a gate: `harness report` and every upload ask for its verdict. Where a run was
killed there is none, because the old one goes before a new scan begins.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.clock import Clock, SystemClock
from harness.errors import ExitCode, HarnessError, LeakError, UsageError
from harness.model.finding import Finding
from harness.model.outcome import Outcome
from harness.model.run import Json
from harness.model.verdict import Check, Verdict
from harness.redaction.accepted_leaks import ProductLeak, as_toml, judge_leaks, load_accepted
from harness.redaction.canaries import canary_marks
from harness.redaction.git_objects import scan_history, scan_staged
from harness.redaction.repository import TRACKED_ENV_FILE, scan_repository
from harness.redaction.scan import Scanner, ScanResult
from harness.redaction.self_test import blind_spots
from harness.reports.session import VERDICT_FILE, write_session
from harness.settings import SECRET_NAMES, Settings

__all__ = ["BUILT", "SESSION", "SESSION_OF_PATHS", "SecretScan", "leak_error", "scan_secrets"]

SESSION = "secret-scan"
SESSION_OF_PATHS = "secret-scan-paths"
# Built from packages, and by far the largest part of testing_env: nothing of a run is in them.
BUILT = ("environments", "envs", "templates")
# Its folders are environments, too; the files beside them are of runs.
_CLIENTS = "clients"
_SELF_TEST = "self-test"
_REAL_VALUES = "real values"
_PRODUCT = "product"
MAX_FINDINGS_IN_REPORT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretScan:
    """What the scan found.

    Attributes:
        verdict: what the session's report holds.
        findings: the secrets, without their values.
        notes: what was not looked into, and how weak values were looked for.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Area:
    name: str
    check: Check
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def scan_secrets(
    settings: Settings,
    *,
    paths: Sequence[Path] = (),
    live: bool = False,
    product: bool = False,
    history: bool = False,
    staged: bool = False,
    clock: Clock | None = None,
) -> SecretScan:
    """Scans the repository and everything under testing_env, and writes the session's report.

    Args:
        settings: where the project is, and the values that must not be found.
        paths: scan these files and folders instead; the report is then a session of its own.
        live: the real E2B key must be among the values that are looked for.
        product: run the product under test with canaries, too, and scan what it leaves and sends.
        history: scan every blob of git's history, too.
        staged: scan what is staged for a commit, and nothing else.
        clock: stands in for the system's.

    Raises:
        UsageError: if one of the paths is not there.
        BrokenError: if the report cannot be written.
    """
    clock = clock or SystemClock()
    started_at, started_s = clock.now(), clock.monotonic_s()
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise UsageError(
            f"no such file or folder: {', '.join(missing)}",
            expected="files and folders that are there, or none to scan the project",
            next_step="harness secrets scan",
        )
    session = SESSION_OF_PATHS if paths or staged else SESSION
    (settings.reports / session / VERDICT_FILE).unlink(missing_ok=True)

    digest_key = secrets.token_bytes(32)
    values = (*settings.secrets(), *canary_marks(SECRET_NAMES))
    scanner = Scanner(values, digest_key=digest_key)
    steps: dict[str, Callable[[], _Area]] = {
        _SELF_TEST: lambda: _self_test(scanner, settings),
        **({_REAL_VALUES: lambda: _real_values(settings)} if live else {}),
    }
    if paths:
        steps.update({str(path): _step(_paths, path, scanner, settings) for path in paths})
    elif staged:
        steps["staged"] = lambda: _area(
            "staged", scan_staged(settings.root, scanner), empty="nothing is staged"
        )
    else:
        steps["repository"] = lambda: _repository(settings, scanner, digest_key)
        steps["testing_env"] = lambda: _testing_env(settings, scanner)
        if history:
            steps["history"] = lambda: _area(
                "history", scan_history(settings.root, scanner), empty="there is no commit"
            )
        if product:
            steps[_PRODUCT] = lambda: _product(settings, clock, digest_key)
    areas = _worth([_timed(name, step, clock) for name, step in steps.items()])
    findings = tuple(finding for area in areas for finding in area.findings)
    verdict = Verdict(
        session=session,
        endpoint="none",
        started_at=started_at,
        duration_s=clock.monotonic_s() - started_s,
        checks=(*(area.check for area in areas), *_checks_of(findings)),
        leak=bool(findings),
        partial=any(
            area.name == _REAL_VALUES and area.check.outcome is Outcome.NOT_RUN for area in areas
        ),
        details={"findings": [_json(f) for f in findings], "notes": [*_notes(areas, scanner)]},
    )
    write_session(settings.reports, verdict)
    return SecretScan(verdict=verdict, findings=findings, notes=_notes(areas, scanner))


def leak_error(scan: SecretScan) -> LeakError:
    """The three lines for a scan that found something."""
    # What a run wrote comes first: it is what is about to be uploaded.
    first, *others = sorted(scan.findings, key=lambda finding: _in_repository(scan, finding))
    where = "the repository" if _in_repository(scan, first) else "logs"
    where = "the product's run" if first.path.startswith("product/") else where
    more = f", and {len(others)} more" if others else ""
    place = f"{first.path}:{first.line}" if first.line else first.path
    return LeakError(
        f"Secret leaked in {where}: {first.kind} ({first.encoding}) in {place}{more}",
        expected="no secret outside .env: logs show <secret:NAME> or mysql://***@host/db",
        next_step=_mend(first),
    )


def _mend(finding: Finding) -> str:
    if finding.kind == TRACKED_ENV_FILE:
        return f"git rm --cached {finding.path}, and replace every secret that it ever held"
    if finding.path.startswith("product/"):
        return (
            "see docs/explanation/what-leaks.md: report it to the product, or accept it with its "
            "reason in harness/targets/osiris/leak_allowances; then: nox -s secret-scan"
        )
    return (
        "replace the secret where it is valid; delete the file or redact the line (check "
        "`redact_connection_string()` in harness.redaction); a fake for tests gets "
        "`# pragma: allowlist secret`; see docs/how-to/when-a-secret-leaked.md; then: "
        "nox -s secret-scan"
    )


def _in_repository(scan: SecretScan, finding: Finding) -> bool:
    outside = finding.path.startswith(("testing_env/", "product/"))
    return scan.verdict.session == SESSION and not outside


def _worth(areas: list[_Area]) -> list[_Area]:
    """Without the self-test where nothing was scanned: alone it is not a pass."""
    seen = [a for a in areas if a.name != _SELF_TEST or a.check.outcome is not Outcome.PASSED]
    scanned = any(a.check.outcome is not Outcome.NOT_RUN for a in seen if a.name != _REAL_VALUES)
    return areas if scanned else seen


def _timed(name: str, step: Callable[[], _Area], clock: Clock) -> _Area:
    started_s = clock.monotonic_s()
    try:
        area = step()
    except HarnessError as error:
        not_run = error.exit_code is ExitCode.NOT_RUN
        outcome = Outcome.NOT_RUN if not_run else Outcome.BROKEN
        area = _Area(name, Check(name=name, outcome=outcome, reason=str(error)))
    check = area.check
    timed = Check(
        name=check.name,
        outcome=check.outcome,
        reason=check.reason,
        duration_s=clock.monotonic_s() - started_s,
    )
    return _Area(name, timed, area.findings, area.notes)


def _self_test(scanner: Scanner, settings: Settings) -> _Area:
    values = (*settings.secrets(), *canary_marks(SECRET_NAMES))
    blind = blind_spots(scanner, values)
    name = _SELF_TEST
    if not blind:
        return _Area(name, Check(name=name, outcome=Outcome.PASSED))
    reason = f"the scan is blind: it does not find {'; '.join(blind[:10])}"
    return _Area(name, Check(name=name, outcome=Outcome.BROKEN, reason=reason))


def _real_values(settings: Settings) -> _Area:
    name = _REAL_VALUES
    if settings.e2b_api_key is not None:
        return _Area(name, Check(name=name, outcome=Outcome.PASSED))
    reason = (
        "E2B_API_KEY not set: there is no real value to look for; "
        "export E2B_API_KEY or add it to testing_env/.env"
    )
    return _Area(name, Check(name=name, outcome=Outcome.NOT_RUN, reason=reason))


def _repository(settings: Settings, scanner: Scanner, digest_key: bytes) -> _Area:
    result = scan_repository(settings.root, scanner, digest_key=digest_key)
    return _area("repository", result, empty="git tracks no file here")


def _testing_env(settings: Settings, scanner: Scanner) -> _Area:
    folder, result = settings.testing_env, ScanResult()
    built = [folder / name for name in BUILT if (folder / name).is_dir()]
    clients = [path for path in (folder / _CLIENTS).glob("*/") if not path.is_symlink()]
    if folder.is_dir():
        scanner.scan_folder(
            folder, result, prefix="testing_env/", exclude={*built, *clients, *_env_files(settings)}
        )
    notes = [f"testing_env/{path.name}: packages that were built, not scanned" for path in built]
    if clients:
        notes.append(f"testing_env/{_CLIENTS}/*: packages that were built, not scanned")
    return _area("testing_env", result, empty="nothing under testing_env yet", notes=notes)


def _product(settings: Settings, clock: Clock, digest_key: bytes) -> _Area:
    """A leak that is not accepted is one like any other; an entry that is stale fails, too."""
    # They bring the SDK, the emulator and DuckDB: as much memory again as a scan takes.
    from harness.targets.osiris import OsirisTarget  # noqa: PLC0415 - see above
    from harness.workflow.product_leaks import find_product_leaks  # noqa: PLC0415 - see above

    target = OsirisTarget(settings=settings)
    path = target.leak_allowances_file()
    accepted = load_accepted(path)
    judged = judge_leaks(find_product_leaks(settings, clock=clock, target=target), accepted)
    outcome, reasons = Outcome.PASSED, []
    if judged.new:
        first = "\n".join(as_toml(leak) for leak in judged.new[:3])
        reasons.append(f"leaks that are not accepted: {len(judged.new)}; to accept:\n{first}")
    reasons += [
        f"accepted in {path.name} and found no more: {e.secret} in {e.where} ({e.case}, {e.side})"
        for e in judged.stale
    ]
    if reasons:
        outcome = Outcome.FAILED
    note = (
        f"{target.name} {target.version} leaks {len(judged.accepted)} times in ways that are "
        f"accepted, each with its reason: {path.name}, docs/explanation/what-leaks.md"
    )
    check = Check(name=_PRODUCT, outcome=outcome, reason="; ".join(reasons))
    findings = tuple(_product_finding(leak, digest_key) for leak in judged.new)
    return _Area(_PRODUCT, check, findings, (note,) if judged.accepted else ())


def _product_finding(leak: ProductLeak, digest_key: bytes) -> Finding:
    """The value was a canary, and is gone; the digest tells its name."""
    digest = hmac.new(digest_key, leak.secret.encode(), hashlib.sha256).hexdigest()[:16]
    return Finding(
        kind=leak.secret,
        encoding=leak.encoding,
        path=f"product/{leak.case}/{leak.side}/{leak.where}",
        line=leak.line,
        digest=digest,
    )


def _step(
    scan: Callable[[Path, Scanner, Settings], _Area],
    path: Path,
    scanner: Scanner,
    settings: Settings,
) -> Callable[[], _Area]:
    return lambda: scan(path, scanner, settings)


def _paths(path: Path, scanner: Scanner, settings: Settings) -> _Area:
    result, resolved, exempt = ScanResult(), path.resolve(), _env_files(settings)
    if resolved.is_dir():
        scanner.scan_folder(resolved, result, prefix=f"{path}/", exclude=exempt)
    elif resolved not in exempt:
        scanner.scan_file(resolved, result, shown=str(path))
    return _area(str(path), result, empty="there is no file in it")


def _env_files(settings: Settings) -> set[Path]:
    """Where secrets may be. That git tracks none of them is the repository's check."""
    return {settings.root / ".env", settings.testing_env / ".env"}


def _area(name: str, result: ScanResult, *, empty: str, notes: Sequence[str] = ()) -> _Area:
    notes = [
        *notes,
        *_without_content(result),
        *([f"{result.repeated} more of the same in {name}"] if result.repeated else []),
    ]
    unread = [f"{u.path}: {u.reason}" for u in result.incomplete]
    outcome, reason = Outcome.PASSED, ""
    if result.findings:
        outcome, reason = Outcome.FAILED, f"secrets found: {len(result.findings)}"
    elif unread:
        outcome = Outcome.BROKEN
    elif result.files == 0:
        outcome, reason = Outcome.NOT_RUN, empty
    if unread:
        more = f"; and {len(unread) - 10} more" if len(unread) > 10 else ""  # noqa: PLR2004 - as below
        said = f"the scan is incomplete: {'; '.join(unread[:10])}{more}"
        reason = f"{reason}; {said}" if reason else said
    check = Check(name=name, outcome=outcome, reason=reason)
    return _Area(name, check, tuple(result.findings), tuple(notes))


def _without_content(result: ScanResult) -> Iterator[str]:
    """What has no content of its own; of equal names, as each run makes them, the first one."""
    alike: dict[tuple[str, str], list[str]] = {}
    for unread in result.unread:
        if unread.harmless:
            name = unread.path.rpartition("/")[2]
            alike.setdefault((name, unread.reason), []).append(unread.path)
    for (name, reason), paths in alike.items():
        more = f" (and {len(paths) - 1} more named {name})" if len(paths) > 1 else ""
        yield f"{paths[0]}: {reason}{more}"


def _checks_of(findings: Sequence[Finding]) -> list[Check]:
    return [
        Check(
            name=f"{f.kind} ({f.encoding}) in {f.path}:{f.line}",
            outcome=Outcome.FAILED,
            reason=f"Secret leaked: {f.kind}, written as {f.encoding}; digest {f.digest}",
            location=f"{f.path}:{f.line}",
        )
        for f in findings[:MAX_FINDINGS_IN_REPORT]
    ]


def _notes(areas: Sequence[_Area], scanner: Scanner) -> tuple[str, ...]:
    known = scanner.known
    notes = [note for area in areas for note in area.notes]
    if known.weak:
        names = ", ".join(dict.fromkeys(known.weak))
        notes.append(f"too short or too common, looked for beside its name only: {names}")
    if known.placeholders:
        names = ", ".join(dict.fromkeys(known.placeholders))
        notes.append(f"a placeholder, not looked for: {names}")
    return tuple(notes)


def _json(finding: Finding) -> Json:
    return {
        "kind": finding.kind,
        "encoding": finding.encoding,
        "path": finding.path,
        "line": finding.line,
        "digest": finding.digest,
    }
