"""Osiris in a process of its own: what the harness asks of the product, in the product's words.

Run by path with the product's interpreter: `python child.py <requests fd> <answers fd>`.
Requests and answers are JSON objects, one a line, on the two descriptors; standard
output and standard error belong to the product. Standard library and osiris only.

Requests: {"op": "compile" | "prepare" | "execute" | "collect" | "shutdown", ...}
Answers:  {"ok": true, "result": {...}} or {"ok": false, "error": {"type", "message", "traceback"}}
Between them, at any time: {"event": "sandbox", "id": "..."} when the product has a sandbox.
"""

import dataclasses
import json
import logging
import math
import os
import sys
import threading
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from osiris.core.adapter_factory import get_execution_adapter
from osiris.core.compiler_v0 import CompilerV0
from osiris.core.env_loader import load_env
from osiris.core.execution_adapter import (
    ExecResult,
    ExecutionAdapter,
    ExecutionContext,
    PreparedRun,
)
from osiris.core.fs_config import load_osiris_config
from osiris.core.fs_paths import FilesystemContract
from osiris.core.session_logging import (
    SessionContext,
    log_event,
    log_metric,
    set_current_session,
)
from osiris.runtime.local_adapter import LocalAdapter

SANDBOX_POLL_S = 0.05


class Channel:
    """Writes whole lines to the harness, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "w", encoding="utf-8")
        self._lock = threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        """Sends one JSON object."""
        line = json.dumps(message, ensure_ascii=True)
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()


class SandboxWatch:
    """Reports the product's sandbox as soon as the product knows of it."""

    def __init__(self, adapter: ExecutionAdapter, channel: Channel) -> None:
        self._adapter = adapter
        self._channel = channel
        self._seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sandbox-watch", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._report()

    def _watch(self) -> None:
        while not self._stop.wait(SANDBOX_POLL_S):
            self._report()

    def _report(self) -> None:
        sandbox_id = getattr(self._adapter, "sandbox_id", None)
        if sandbox_id and sandbox_id not in self._seen:
            self._seen.add(sandbox_id)
            self._channel.send({"event": "sandbox", "id": str(sandbox_id)})


class Product:
    """Osiris's own objects between two requests, as `osiris run` holds them."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._session: SessionContext | None = None
        # Set by the operations, in their order.
        self._contract: FilesystemContract
        self._manifest_path: Path
        self._manifest: dict[str, Any]
        self._adapter: ExecutionAdapter
        self._prepared: PreparedRun
        self._context: ExecutionContext
        self._result: ExecResult

    def compile(self, *, oml_path: str, profile: str | None) -> dict[str, Any]:
        """Osiris's own compiler, with the contract that the project's osiris.yaml states.

        Follows: osiris 0.5.7 osiris/cli/run.py run_command, phase 1.
        """
        load_env()
        fs_config, ids_config, _ = load_osiris_config()
        self._contract = FilesystemContract(fs_config, ids_config)
        if profile is None and fs_config.profiles.enabled:
            profile = fs_config.profiles.default
        oml = yaml.safe_load(Path(oml_path).read_text(encoding="utf-8"))
        slug = oml.get("pipeline", {}).get("id", Path(oml_path).stem)
        compiler = CompilerV0(fs_contract=self._contract, pipeline_slug=slug)
        success, message = compiler.compile(oml_path=oml_path, profile=profile, cli_params={})
        if not success:
            return {"success": False, "message": message}
        paths = self._contract.manifest_paths(
            pipeline_slug=slug,
            manifest_hash=compiler.manifest_hash,
            manifest_short=compiler.manifest_short,
            profile=profile,
        )
        self._manifest_path = paths["manifest"]
        self._manifest = yaml.safe_load(self._manifest_path.read_text(encoding="utf-8"))
        return {
            "success": True,
            "message": message,
            "manifest_path": str(self._manifest_path),
            "manifest_hash": compiler.manifest_hash,
        }

    def prepare(
        self,
        *,
        target: str,
        session_id: str,
        logs_dir: str,
        config: dict[str, Any],
        preflight: bool,
    ) -> dict[str, Any]:
        """Session, adapter and `prepare`.

        Follows: osiris 0.5.7 osiris/cli/run.py run_command, phase 2, and execute_with_adapter.
        """
        if not preflight:
            skip_preflight()
        self._session = self._open_session(session_id, Path(logs_dir))
        self._context = ExecutionContext(session_id=session_id, base_path=self._session.session_dir)
        log_event("adapter_execution_start", manifest=str(self._manifest_path))
        self._adapter = get_execution_adapter(target, {**config, "verbose": False})
        log_event("adapter_selected", adapter=target, session_id=session_id)
        log_event("adapter_prepare_start", session_id=session_id)
        metadata = self._manifest.setdefault("metadata", {})
        metadata["source_manifest_path"] = str(self._manifest_path)
        self._prepared = self._adapter.prepare(self._manifest, self._context)
        log_event("adapter_prepare_complete", session_id=session_id)
        return {
            "prepared": jsonable(dataclasses.asdict(self._prepared)),
            "session": self._session.session_id,
            "logs_dir": str(self._context.logs_dir),
        }

    def execute(self) -> dict[str, Any]:
        """The adapter's `execute`."""
        session_id = self._context.session_id
        log_event("adapter_execute_start", session_id=session_id)
        with SandboxWatch(self._adapter, self._channel):
            result = self._adapter.execute(self._prepared, self._context)
        log_event("adapter_execute_complete", success=result.success, session_id=session_id)
        self._result = result
        return {
            "success": result.success,
            "exit_code": result.exit_code,
            "duration_s": result.duration_seconds,
            "error_message": result.error_message,
            "step_results": jsonable(result.step_results),
        }

    def collect(self) -> dict[str, Any]:
        """The adapter's `collect`, and the end of the session."""
        session_id = self._context.session_id
        log_event("adapter_collect_start", session_id=session_id)
        collected = self._adapter.collect(self._prepared, self._context)
        log_event("adapter_collect_complete", session_id=session_id)
        log_metric("adapter_execution_duration", self._result.duration_seconds, unit="seconds")
        log_metric("adapter_exit_code", self._result.exit_code, unit="code")
        self._close_session()
        return jsonable(dataclasses.asdict(collected))

    def shutdown(self) -> dict[str, Any]:
        """Ends what is still open."""
        self._close_session()
        return {}

    def failed(self, error: Exception) -> None:
        """Notes an exception of the adapter in the session's events, as `osiris run` does."""
        if self._session is not None:
            message = f"Adapter execution failed: {error}"
            log_event("adapter_execution_error", error=message, session_id=self._context.session_id)

    def _close_session(self) -> None:
        if self._session is not None:
            self._session.close()
            set_current_session(None)
            self._session = None

    def _open_session(self, run_id: str, logs_dir: Path) -> SessionContext:
        """A session as `osiris run` opens it, in the folder that the harness chose."""
        meta = self._manifest.get("meta", {})
        session = SessionContext(
            fs_contract=contract_at(self._contract, logs_dir),
            pipeline_slug=self._manifest.get("pipeline", {}).get("id", "unknown"),
            profile=meta.get("profile"),
            run_id=run_id,
            manifest_short=meta.get("manifest_short") or meta.get("manifest_hash", "")[:7],
        )
        set_current_session(session)
        root = logging.getLogger()
        for handler in list(root.handlers):
            if isinstance(handler, logging.StreamHandler):
                root.removeHandler(handler)
        session.setup_logging(level=logging.INFO, enable_debug=False)
        return session


def contract_at(contract: FilesystemContract, logs_dir: Path) -> FilesystemContract:
    """The project's contract, but for the folder of this run's logs."""

    class ContractAt(type(contract)):
        def run_log_paths(self, *args: Any, **kwargs: Any) -> dict[str, Path]:
            paths = super().run_log_paths(*args, **kwargs)
            base = paths["base"]
            return {name: logs_dir / path.relative_to(base) for name, path in paths.items()}

    return ContractAt(contract.fs_config, contract.ids_config)


def skip_preflight() -> None:
    """Takes the local adapter's check of the compiled step configurations out."""
    # Osiris has no switch of its own for it.
    LocalAdapter._preflight_validate_cfg_files = lambda *_: None  # noqa: SLF001 - see above


def jsonable(value: Any) -> Any:
    """The value as JSON; a table becomes its shape, anything else unknown its type."""
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return str(value) if isinstance(value, Path) else described(value)


def described(value: Any) -> Any:
    """A table by its shape, anything else by its type."""
    if hasattr(value, "dtypes") and hasattr(value, "shape"):
        columns = {str(name): str(dtype) for name, dtype in value.dtypes.items()}
        return {"rows": int(value.shape[0]), "columns": columns}
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def serve(requests: Iterable[str], channel: Channel) -> None:
    """Answers requests until `shutdown` or the end of the pipe."""
    product = Product(channel)
    for line in requests:
        request = json.loads(line)
        operation = request.pop("op")
        try:
            answer = {"ok": True, "result": getattr(product, operation)(**request)}
        except Exception as error:  # noqa: BLE001 - the border: every failure is an answer
            product.failed(error)
            answer = {
                "ok": False,
                "error": {
                    "type": type(error).__name__,
                    "message": str(error),
                    "traceback": traceback.format_exc(),
                },
            }
        sys.stdout.flush()
        sys.stderr.flush()
        channel.send(answer)
        if operation == "shutdown":
            return


def main() -> None:
    """Takes the descriptors over and serves."""
    requests_fd, answers_fd = (int(argument) for argument in sys.argv[1:3])
    for descriptor in (requests_fd, answers_fd):
        os.set_inheritable(descriptor, False)
    # The script's own folder holds the harness's modules, which are not the product's.
    del sys.path[0]
    with os.fdopen(requests_fd, encoding="utf-8") as requests:
        serve(requests, Channel(answers_fd))


if __name__ == "__main__":
    main()
