"""What a test left behind, and where it was created.

The far end knows the process that created each sandbox. Where that is this very
process, the Python stack of the create is kept too: no line of source is read for it
until a test has really left something.
"""

from __future__ import annotations

import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest

__all__ = ["LEAVES_MARKER", "Created", "recorded_creates", "refuse_leftovers"]

LEAVES_MARKER = "e2b_leaves_sandboxes"
ALLOW_OPTION = "e2b_allow_leftovers"
_CREATE = re.compile(r"/(?:v2/)?sandboxes(?:/[^/]+/fork)?")
_MAX_FRAMES = 8
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")})
_HERE = str(Path(__file__).parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The creates of this process while a test ran.

    Attributes:
        stacks: the Python stack of each, by the sandbox's id.
    """

    stacks: dict[str, traceback.StackSummary] = field(default_factory=dict)

    def note(self, response: httpx.Response, frame: FrameType) -> None:
        """Keeps the stack where the answer is that of a create or of a fork."""
        request = response.request
        if request.method != "POST" or not _CREATE.fullmatch(request.url.path):
            return
        try:
            ids = [*_ids(response.json())]
        except (httpx.StreamError, ValueError):
            return  # an answer that cannot be read says nothing of a sandbox
        if ids:
            stack = traceback.StackSummary.extract(traceback.walk_stack(frame), lookup_lines=False)
            self.stacks.update(dict.fromkeys(ids, stack))


def _ids(answer: object) -> Iterator[str]:
    """Of a create's answer its one sandbox, of a fork's each that came up; of a refusal none."""
    for row in answer if isinstance(answer, list) else [{"sandbox": answer}]:
        sandbox = row.get("sandbox") if isinstance(row, dict) else None
        if isinstance(sandbox, dict) and isinstance(sandbox.get("sandboxID"), str):
            yield sandbox["sandboxID"]


@contextmanager
def recorded_creates() -> Iterator[Created]:
    """Keeps the stacks of the creates that this process sends by httpx, as every E2B SDK does."""
    created = Created()
    send, send_async = httpx.Client.send, httpx.AsyncClient.send

    def noting_send(client: httpx.Client, *args: Any, **options: Any) -> httpx.Response:
        response = send(client, *args, **options)
        created.note(response, sys._getframe(1))  # noqa: SLF001 - inspect.currentframe's own way
        return response

    async def noting_send_async(
        client: httpx.AsyncClient, *args: Any, **options: Any
    ) -> httpx.Response:
        response = await send_async(client, *args, **options)
        created.note(response, sys._getframe(1))  # noqa: SLF001
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.Client, "send", noting_send)
        patch.setattr(httpx.AsyncClient, "send", noting_send_async)
        yield created


def refuse_leftovers(
    node: pytest.Item, creators: Mapping[str, str], stacks: Mapping[str, traceback.StackSummary]
) -> None:
    """Fails the test where it left a sandbox and was not allowed to.

    Args:
        node: the test.
        creators: who created what is left, as the far end saw it, by the sandbox's id.
        stacks: the stacks of the creates of this process.
    """
    allowed = node.get_closest_marker(LEAVES_MARKER) or node.config.getini(ALLOW_OPTION)
    if not creators or allowed:
        return
    count = f"{len(creators)} sandboxes" if len(creators) > 1 else "a sandbox"
    lines = [f"{node.nodeid} left {count} running:"]
    for sandbox_id, creator in creators.items():
        lines.append(f"  {sandbox_id}, created by {creator or 'a process that is gone'}")
        if sandbox_id in stacks:
            lines += _shown(stacks[sandbox_id])
    lines.append("expected: every sandbox killed by the test that created it, by `with` or kill()")
    lines.append(f"next: end it, or mark the test with @pytest.mark.{LEAVES_MARKER}")
    pytest.fail("\n".join(lines), pytrace=False)


def _shown(stack: traceback.StackSummary) -> list[str]:
    """The frames of the test and of the code under test, the innermost last."""
    own = [
        frame
        for frame in stack
        if not frame.filename.startswith((*_LIBRARIES, _HERE, "<"))
        and "site-packages" not in frame.filename
    ]
    shown = []
    for frame in reversed(own[:_MAX_FRAMES]):
        shown.append(f'    File "{frame.filename}", line {frame.lineno}, in {frame.name}')
        if frame.line:
            shown.append(f"      {frame.line}")
    return shown
