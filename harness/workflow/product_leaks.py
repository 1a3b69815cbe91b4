"""Does the product under test keep its promise that no secret gets out?

Its pipelines run here and in sandboxes of the emulator with canaries for secrets.
Everything is searched that a user, a log collector or the service could see:
files, streams, the sandbox's files after the run, and each request on the wire.
"""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from harness.clock import Clock
from harness.errors import BrokenError
from harness.model.run import ExecResult, ExecutionContext, PipelineCase
from harness.model.side import Endpoint, Side
from harness.ports import PrepareFailedError
from harness.redaction.accepted_leaks import ProductLeak
from harness.redaction.canaries import make_canaries
from harness.redaction.scan import Scanner, ScanResult
from harness.secret_values import Secret
from harness.settings import Settings
from harness.targets.osiris import OsirisTarget
from harness.workflow.parity_endpoint import FarEnd, far_end
from harness.workflow.request_recorder import RecordedRequest, RequestRecorder

__all__ = ["find_product_leaks", "with_canaries"]

_MARKER = re.compile(r"<canary:([A-Z][A-Z0-9_]*)>")
# What differs from run to run, in a path.
_VOLATILE = (
    (re.compile(r"\d{8}T\d{6}Z?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{7,64}\b"), "<hash>"),
    (re.compile(r"\b\d{10,}\b"), "<number>"),
)
_OWN_HEADERS = frozenset({b"x-api-key"})  # what the key is for
_INPUTS = ("osiris.yaml", "pipeline.yaml")


def find_product_leaks(
    settings: Settings, *, clock: Clock, target: OsirisTarget | None = None
) -> list[ProductLeak]:
    """Runs every leak case of the target on both sides, offline, and tells what got out.

    What the runs wrote is gone on return, for it holds the canaries.

    Raises:
        BrokenError: if a side could not be run, or something could not be searched.
    """
    target = target or OsirisTarget(settings=settings)
    found: list[ProductLeak] = []
    with (
        tempfile.TemporaryDirectory(prefix="harness-leaks-") as folder,
        far_end(FarEnd.EMULATOR, target, settings) as endpoint,
    ):
        for case in target.leak_cases():
            for side in Side:
                run = _Run(target, case, side, Path(folder), clock)
                found += run.leaks(endpoint)
    return found


def with_canaries(case: PipelineCase, run_id: str) -> tuple[PipelineCase, tuple[Secret, ...]]:
    """The case with values in place of `<canary:NAME>`, and these values."""
    texts = [case.oml, *case.env.values(), *(data.decode() for data in case.files.values())]
    names = sorted({name for text in texts for name in _MARKER.findall(text)})
    canaries = make_canaries(names, run_id)

    def filled(text: str) -> str:
        return _MARKER.sub(lambda match: canaries[match[1]].reveal(), text)

    planted = replace(
        case,
        oml=filled(case.oml),
        env={name: filled(value) for name, value in case.env.items()},
        files={name: filled(data.decode()).encode() for name, data in case.files.items()},
    )
    return planted, tuple(canaries.values())


class _Run:
    """One case on one side."""

    def __init__(
        self, target: OsirisTarget, case: PipelineCase, side: Side, folder: Path, clock: Clock
    ) -> None:
        self._target = target
        self._side = side
        self._case, self._secrets = with_canaries(case, secrets.token_hex(8))
        self._context = ExecutionContext(
            session_id=f"leaks-{secrets.token_hex(6)}",
            base_path=folder / f"{case.name}-{side.value}",
            started_at=clock.now(),
        )
        self._volatile: dict[str, str] = {self._context.session_id: "<run>"}

    def leaks(self, endpoint: Endpoint) -> list[ProductLeak]:
        """What got out."""
        self._context.base_path.mkdir(parents=True)
        requests: list[RecordedRequest] = []
        known = self._secrets
        if self._side is Side.LOCAL:
            result = self._execute(None)
        else:
            known = (*known, Secret("E2B_API_KEY", endpoint.env["E2B_API_KEY"]))
            with RequestRecorder(endpoint) as recorder:
                result = self._execute(recorder.endpoint)
            requests = recorder.requests()
            if recorder.truncated or not requests:
                raise self._broken("the requests on the wire were not all recorded")
        scanner = Scanner(known, detect=False)
        return [*self._in_files(scanner), *self._elsewhere(scanner, result, requests)]

    def _execute(self, endpoint: Endpoint | None) -> ExecResult:
        with self._target.adapter(self._side, endpoint) as adapter:
            try:
                prepared = adapter.prepare(self._case, self._context)
            except PrepareFailedError as refusal:
                return refusal.result
            result = adapter.execute(prepared, self._context)
            collected = adapter.collect(prepared, self._context)
        self._volatile |= {k: v for k, v in collected.volatile.items() if "/" not in k}
        if collected.broken is not None:
            raise self._broken(collected.broken)
        return result

    def _in_files(self, scanner: Scanner) -> Iterator[ProductLeak]:
        result = ScanResult()
        project = self._context.project_dir
        inputs = {project / name for name in (*_INPUTS, *self._case.files)}
        scanner.scan_folder(self._context.base_path, result, exclude=inputs)
        if result.incomplete:
            unread = result.incomplete[0]
            raise self._broken(f"{unread.path}: {unread.reason}")
        if result.files == 0:
            raise self._broken("the run left no file")
        yield from self._leaks(result)

    def _elsewhere(
        self, scanner: Scanner, result: ExecResult, requests: list[RecordedRequest]
    ) -> Iterator[ProductLeak]:
        streams = {
            "stdout": result.stdout,
            "stderr": result.stderr,
            "the error message": result.error_message or "",
            "the results of steps": repr(result.step_results),
        }
        found = ScanResult()
        for name, text in streams.items():
            scanner.scan_bytes(text.encode("utf-8", "surrogateescape"), found, shown=name)
        for request in requests:
            for name, data in _parts(request).items():
                scanner.scan_bytes(data, found, shown=name)
        yield from self._leaks(found)

    def _leaks(self, result: ScanResult) -> Iterator[ProductLeak]:
        for finding in result.findings:
            yield ProductLeak(
                case=self._case.name,
                side=self._side.value,
                secret=finding.kind,
                where=_stable(finding.path, self._volatile),
                encoding=finding.encoding,
                line=finding.line,
            )

    def _broken(self, why: str) -> BrokenError:
        return BrokenError(
            f"{self._case.name} on the side {self._side.value}: {why}",
            expected="everything that a run leaves behind to be searched",
            next_step=f"harness parity run --case {self._case.name}",
        )


def _parts(request: RecordedRequest) -> dict[str, bytes]:
    path = request.target.partition(b"?")[0].decode("utf-8", "replace")
    name = f"wire: {request.method} {path}"
    headers = b"\n".join(
        b"%s: %s" % (key, value) for key, value in request.headers if key not in _OWN_HEADERS
    )
    return {
        f"{name}, URL": request.target,
        f"{name}, headers": headers,
        f"{name}, body": request.body,
    }


def _stable(path: str, volatile: Mapping[str, str]) -> str:
    for value in sorted(volatile, key=len, reverse=True):
        path = path.replace(value, volatile[value])
    for expression, token in _VOLATILE:
        path = expression.sub(token, path)
    return path
