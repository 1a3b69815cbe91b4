"""The repository: what git tracks holds no secret, and no `.env` file.

Unknown secrets are detect-secrets' part, with its baseline (`.secrets.baseline`)
and its `# pragma: allowlist secret`; known values are looked for in all encodings
as everywhere. Nothing is sent anywhere to find out whether a secret is valid.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from detect_secrets.__version__ import VERSION
from detect_secrets.core.potential_secret import PotentialSecret
from detect_secrets.core.scan import scan_file
from detect_secrets.exceptions import InvalidBaselineError
from detect_secrets.settings import Settings as DetectorSettings
from detect_secrets.settings import default_settings, transient_settings

from harness.errors import BrokenError
from harness.model.finding import Finding
from harness.model.run import Json
from harness.redaction.git_objects import git_output
from harness.redaction.patterns import FULL_OF_EXAMPLES
from harness.redaction.scan import Scanner, ScanResult

__all__ = ["BASELINE", "TRACKED_ENV_FILE", "scan_repository", "tracked_files", "write_baseline"]

BASELINE = ".secrets.baseline"
TRACKED_ENV_FILE = "tracked-env-file"
_ENV_FILES = (".env", ".env.*", "*.env")
_ENV_SAMPLES = ("*.example", "*.sample", "*.template", "*.dist")
# It would send what it finds to the service that the secret seems to belong to.
_NO_SECRETS = ("IPPublicDetector",)  # an address is none
_VERIFIES = "detect_secrets.filters.common.is_ignored_due_to_verification_policies"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Detected:
    path: str
    line: int
    kind: str
    hash: str


def tracked_files(root: Path) -> list[str]:
    """The paths that git tracks below a folder, with forward slashes, sorted.

    Raises:
        NotRunError: if the folder is in no git repository, or git is missing.
    """
    listed = git_output(
        root,
        *("ls-files", "-z", "--cached"),
        failed=f"git does not list the files of {root}",
        expected="a git repository, to know which files are the project's own",
        next_step="run it in a clone, or name the folders: harness secrets scan PATH",
    )
    names = listed.decode("utf-8", "surrogateescape").split("\0")
    return sorted(name for name in names if name)


def scan_repository(root: Path, scanner: Scanner, *, digest_key: bytes) -> ScanResult:
    """Scans every file that git tracks below a folder.

    Args:
        root: the folder; its `.secrets.baseline`, if it has one, says what is accepted.
        scanner: looks for known values.
        digest_key: keys the digests of what the detectors find.

    Raises:
        NotRunError: if the folder is in no git repository.
        BrokenError: if the baseline cannot be read.
    """
    result = ScanResult()
    files = tracked_files(root)
    for name in files:
        if _is_env_file(name):
            result.findings.append(
                Finding(kind=TRACKED_ENV_FILE, encoding="plain", path=name, line=0, digest="")
            )
        if (root / name).exists() or (root / name).is_symlink():
            scanner.scan_file(root / name, result, shown=name)
    # These are detect-secrets' part here: its baseline knows the examples in docs.
    result.findings = [f for f in result.findings if f.kind not in FULL_OF_EXAMPLES]
    if not result.findings:
        result.repeated = 0  # More of the same examples.
    named = {(finding.path, finding.line) for finding in result.findings}
    document = _baseline(root)
    accepted = _accepted(document)
    for secret in _detect(root, files, document):
        found = (secret.path, secret.kind, secret.hash)
        if found not in accepted and (secret.path, secret.line) not in named:
            digest = hmac.new(digest_key, secret.hash.encode(), hashlib.sha256).hexdigest()[:16]
            kind = secret.kind.lower().replace(" ", "-")
            result.findings.append(
                Finding(
                    kind=kind, encoding="plain", path=secret.path, line=secret.line, digest=digest
                )
            )
    return result


def write_baseline(root: Path) -> int:
    """Accepts everything that the detectors find now, and tells how many that are.

    What an earlier baseline says of a secret (`is_secret`) is kept.

    Raises:
        NotRunError: if the folder is in no git repository.
        BrokenError: if an earlier baseline cannot be read.
    """
    before = _baseline(root)
    labels = {
        (path, item["type"], item["hashed_secret"]): item["is_secret"]
        for path, items in _results(before).items()
        for item in items
        if "is_secret" in item
    }
    with _settings(before) as settings:
        found = list(_scanned(root, tracked_files(root)))
        document = settings.json()
    results: dict[str, list[dict[str, Json]]] = {}
    for secret in found:
        item: dict[str, Json] = {
            "type": secret.kind,
            "filename": secret.path,
            "hashed_secret": secret.hash,
            "is_verified": False,
            "line_number": secret.line,
        }
        label = labels.get((secret.path, secret.kind, secret.hash))
        results.setdefault(secret.path, []).append(
            item if label is None else {**item, "is_secret": label}
        )
    document = {"version": VERSION, **document, "results": results}
    (root / BASELINE).write_text(json.dumps(document, indent=2) + "\n")
    return len(found)


def _is_env_file(name: str) -> bool:
    base = PurePosixPath(name).name
    sample = any(fnmatch.fnmatch(base, pattern) for pattern in _ENV_SAMPLES)
    return not sample and any(fnmatch.fnmatch(base, pattern) for pattern in _ENV_FILES)


def _baseline(root: Path) -> dict[str, Json] | None:
    path = root / BASELINE
    if not path.is_file():
        return None
    try:
        document: Json = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _bad_baseline(path, str(error)) from error
    if not isinstance(document, dict) or not isinstance(document.get("plugins_used"), list):
        raise _bad_baseline(path, "it names no plugins")
    return document


def _bad_baseline(path: Path, cause: str) -> BrokenError:
    return BrokenError(
        f"{path} cannot be read: {cause}",
        expected="the baseline that detect-secrets, or `harness secrets baseline`, writes",
        next_step=f"git checkout -- {path.name}, or make a new one: harness secrets baseline",
    )


def _results(document: dict[str, Json] | None) -> dict[str, list[dict[str, Json]]]:
    results = (document or {}).get("results", {})
    if not isinstance(results, dict):
        return {}
    return {
        path: [item for item in items if isinstance(item, dict)]
        for path, items in results.items()
        if isinstance(items, list)
    }


def _accepted(document: dict[str, Json] | None) -> set[tuple[str, Json, Json]]:
    """What the baseline accepts; what somebody has marked as a true secret is not accepted."""
    return {
        (path, item.get("type"), item.get("hashed_secret"))
        for path, items in _results(document).items()
        for item in items
        if item.get("is_secret") is not True
    }


@contextlib.contextmanager
def _settings(document: dict[str, Json] | None) -> Iterator[DetectorSettings]:
    """The detectors of the baseline, or all of them; never with a look-up over the network."""
    chosen = transient_settings(document) if document else default_settings()
    try:
        with chosen as settings:
            settings.disable_filters(_VERIFIES)
            if document is None:
                settings.disable_plugins(*_NO_SECRETS)
            yield settings
    except (InvalidBaselineError, KeyError, TypeError) as error:
        raise _bad_baseline(Path(BASELINE), f"detect-secrets refuses it: {error}") from error


def _detect(root: Path, files: list[str], document: dict[str, Json] | None) -> list[_Detected]:
    with _settings(document):
        return list(_scanned(root, files))


def _scanned(root: Path, files: list[str]) -> Iterator[_Detected]:
    for name in files:
        path = root / name
        if name == BASELINE or path.is_symlink() or not path.is_file():
            continue
        seen: set[PotentialSecret] = set()
        for secret in scan_file(str(path)):
            if secret not in seen:
                seen.add(secret)
                yield _Detected(
                    path=name, line=secret.line_number, kind=secret.type, hash=secret.secret_hash
                )
