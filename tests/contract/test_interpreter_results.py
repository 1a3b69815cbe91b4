"""Code in a sandbox, through the real client: results, output, errors, charts."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import httpx
import pytest
from e2b_code_interpreter import ExecutionError, Sandbox
from e2b_code_interpreter.charts import ChartType
from interpreter_lab import interpreter_emulators

from harness.pytest_plugin.fixtures import E2BEnvironment

_harness_emulators = interpreter_emulators

CHARTS = {
    ChartType.LINE: "ax.plot([1, 2, 3], [4, 5, 9], label='grows')",
    ChartType.SCATTER: "ax.scatter([1, 2, 3], [4, 5, 9], label='grows')",
    ChartType.BAR: "ax.bar(['a', 'b', 'c'], [4, 5, 9])",
    ChartType.PIE: "ax.pie([4, 5, 9], labels=['a', 'b', 'c'])",
    ChartType.BOX_AND_WHISKER: "ax.boxplot([[1, 2, 9], [3, 4, 5]], patch_artist=True)",
    ChartType.UNKNOWN: "ax.imshow([[1, 2], [3, 4]])",
}
RICH = """
from IPython.display import display
class Rich:
    def _repr_html_(self): return "<b>b</b>"
    def _repr_markdown_(self): return "**b**"
    def _repr_latex_(self): return "$b$"
    def _repr_svg_(self): return "<svg/>"
    def _repr_javascript_(self): return "b()"
    def _repr_mimebundle_(self, include=None, exclude=None): return {"x/y": "z"}
    def __repr__(self): return "b"
display(Rich())
"""


@pytest.fixture
def sandbox(code_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """One sandbox that runs code."""
    return code_sandbox()


def test_last_expression_is_the_main_result_and_state_is_kept(sandbox: Sandbox) -> None:
    """What one execution defines the next one knows, and each is counted."""
    sandbox.run_code("x = 20")
    execution = sandbox.run_code("x += 1; x * 2")
    assert execution.text == "42"
    assert [result.is_main_result for result in execution.results] == [True]
    assert execution.execution_count == 2


def test_output_streams_to_callbacks_apart(sandbox: Sandbox) -> None:
    """Each stream arrives on its own callback, with a time, before the end."""
    heard: list[tuple[str, str]] = []
    execution = sandbox.run_code(
        "import sys, time; print('a'); sys.stdout.flush(); time.sleep(0.4); print('ü')\n"
        "print('b', file=sys.stderr)",
        on_stdout=lambda message: heard.append(("out", message.line)),
        on_stderr=lambda message: heard.append(("err", message.line)),
    )
    assert [line for kind, line in heard if kind == "out"] == ["a\n", "ü\n"]
    assert ("err", "b\n") in heard
    assert execution.logs.stderr == ["b\n"]


def test_error_carries_name_value_and_traceback_once(sandbox: Sandbox) -> None:
    """A raised error reaches the client once, without colours, and the context lives on."""
    heard: list[ExecutionError] = []
    execution = sandbox.run_code("def f():\n  raise ValueError('no')\nf()", on_error=heard.append)
    assert execution.error is not None
    assert (execution.error.name, execution.error.value) == ("ValueError", "no")
    assert "raise ValueError('no')" in execution.error.traceback
    assert "\x1b[" not in execution.error.traceback
    assert len(heard) == 1
    assert sandbox.run_code("1").text == "1"


def test_rich_object_arrives_in_every_form(sandbox: Sandbox) -> None:
    """Each MIME type has its attribute, an unknown one is kept aside."""
    result = sandbox.run_code(RICH).results[0]
    assert (result.text, result.html, result.markdown) == ("b", "<b>b</b>", "**b**")
    assert (result.latex, result.svg, result.javascript) == ("$b$", "<svg/>", "b()")
    assert result.extra == {"x/y": "z"}
    assert not result.is_main_result


@pytest.mark.parametrize(
    ("code", "expected"), [("[1, {'a': None}]", [1, {"a": None}]), ("{3: 4}", {"3": 4})]
)
def test_plain_collections_arrive_as_json(sandbox: Sandbox, code: str, expected: object) -> None:
    """A list or dictionary is also JSON."""
    result = sandbox.run_code(code).results[0]
    assert result.json == expected
    assert result.text == code


def test_data_frame_arrives_as_columns(sandbox: Sandbox) -> None:
    """A DataFrame has its columns as plain values, times as text, and its table as HTML."""
    code = (
        "import pandas as pd\npd.DataFrame({'n': [1, 2], 't': pd.to_datetime(['2026-01-01'] * 2)})"
    )
    result = sandbox.run_code(code).results[0]
    assert result.data == {"n": [1, 2], "t": ["2026-01-01T00:00:00"] * 2}
    assert result.html is not None
    assert "<table" in result.html


@pytest.mark.parametrize("kind", list(CHARTS), ids=lambda kind: kind.value)
def test_figure_arrives_as_picture_and_data(sandbox: Sandbox, kind: ChartType) -> None:
    """A shown figure is a PNG and a description of its data, by its kind."""
    code = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.set_title('T')\n"
    result = sandbox.run_code(f"{code}{CHARTS[kind]}\nplt.show()").results[0]
    assert result.png is not None
    assert base64.b64decode(result.png).startswith(b"\x89PNG")
    assert result.chart is not None
    assert (result.chart.type, result.chart.title) == (kind, "T")
    assert bool(result.chart.elements) == (kind is not ChartType.UNKNOWN)


def test_figure_of_several_axes_is_a_superchart(sandbox: Sandbox) -> None:
    """Each of the axes is an element of its own kind."""
    chart = (
        sandbox.run_code(
            "import matplotlib.pyplot as plt\nfig, (a, b) = plt.subplots(1, 2)\n"
            "a.plot([1, 2], [3, 4]); b.bar(['x', 'y'], [1, 2])\nplt.show()"
        )
        .results[0]
        .chart
    )
    assert chart is not None
    assert chart.type is ChartType.SUPERCHART
    assert [part.type for part in chart.elements] == [ChartType.LINE, ChartType.BAR]


def test_saved_image_is_shown(sandbox: Sandbox) -> None:
    """An image saved to a path is a result, and a file of the sandbox."""
    code = "from PIL import Image\nImage.new('RGB', (2, 2)).save('dot.png')"
    assert sandbox.run_code(code).results[0].png is not None
    assert sandbox.files.read("/home/user/dot.png", format="bytes").startswith(b"\x89PNG")


def test_code_lives_in_the_sandbox(sandbox: Sandbox) -> None:
    """Files, user, folder and processes of code are the sandbox's."""
    sandbox.files.write("given.txt", "given")
    execution = sandbox.run_code(
        "import os, getpass; open('made.txt', 'w').write('made')\n"
        "[open('given.txt').read(), os.getcwd(), getpass.getuser(), os.environ['E2B_SANDBOX_ID']]"
    )
    assert execution.results[0].json == ["given", "/home/user", "root", sandbox.sandbox_id]
    assert sandbox.files.read("made.txt") == "made"
    assert sandbox.commands.list() == []


def test_sandbox_that_ran_no_code_has_no_kernel(sandbox: Sandbox) -> None:
    """Nothing of the interpreter runs before it is asked for; the control asks for it."""
    count = "pgrep -fc '[p]ython_kernel' || true"
    assert sandbox.commands.run(count, user="root").stdout.strip() == "0"
    sandbox.run_code("1")
    assert sandbox.commands.run(count, user="root").stdout.strip() == "1"


def test_answer_is_one_json_object_a_line(sandbox: Sandbox, e2b_env: E2BEnvironment) -> None:
    """Every line has a type, and the last one says that it is the last."""
    answer = ask(e2b_env, sandbox, {"code": "print(1)\n2"})
    kinds = [json.loads(line)["type"] for line in answer.text.splitlines()]
    assert kinds == ["number_of_executions", "stdout", "result", "end_of_execution"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"code": "1", "language": "python", "context_id": "x"}, 400, "Only one of context_id"),
        ({"code": "1", "context_id": "nowhere"}, 404, "Context nowhere not found"),
        ({"code": "1", "language": "cobol"}, 500, "The 'cobol' kernel is not available"),
        ({"code": 1}, 422, "code"),
        ({}, 422, "Field required"),
    ],
)
def test_bad_execution_is_refused_with_the_services_status(
    sandbox: Sandbox, e2b_env: E2BEnvironment, body: dict[str, object], status: int, words: str
) -> None:
    """What cannot run is refused before the stream begins."""
    sandbox.run_code("1")
    answer = ask(e2b_env, sandbox, body)
    assert answer.status_code == status
    assert words in answer.text


def ask(e2b_env: E2BEnvironment, sandbox: Sandbox, body: dict[str, object]) -> httpx.Response:
    """A raw request, to wherever the endpoint takes sandbox traffic."""
    base = e2b_env.endpoint.env.get("E2B_SANDBOX_URL") or f"https://{sandbox.get_host(49999)}"
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "49999"}
    token = sandbox.connection_config.sandbox_headers.get("X-Access-Token")
    if token:
        headers["X-Access-Token"] = token
    return httpx.post(f"{base}/execute", json=body, headers=headers, timeout=60)
