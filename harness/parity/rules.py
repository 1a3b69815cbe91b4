"""Which values differ from run to run by their nature: one table, each rule with its reason.

Two runs of one side show most noise by themselves (`harness.parity.noise`). A
rule stands here only for what they cannot show: values that are equal in both
runs by chance, or that identify something and must keep their identity. A rule
never removes a line or a field; it puts a token in the place of a value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "FIELD_RULES",
    "MEASURE_RULE",
    "TEXT_RULES",
    "TIME_UNITS",
    "FieldRule",
    "Shape",
    "TextRule",
]


class Shape(StrEnum):
    """What a value must look like before a field rule touches it; anything else stays."""

    INSTANT = "a date and time near the run, as ISO 8601 text or as a Unix time"
    DURATION = "a number that is not negative"
    SIZE = "a whole number above zero"
    PID = "a whole number above zero, and not true or false"
    IDENTIFIER = "text of at least eight characters with a digit in it"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """A rule for the value of a field, wherever the field stands.

    Attributes:
        name: what messages and reports call it.
        fields: patterns of the field's name (shell wildcards, lower case).
        shape: what the value must look like.
        mark: stands for the value: `<mark>`, or `<mark:1>` where identity is kept.
        keeps_identity: equal values get equal numbers, different ones different numbers.
        reason: why the value says nothing about parity.
        source: who writes it.
    """

    name: str
    fields: tuple[str, ...]
    shape: Shape
    mark: str
    keeps_identity: bool = False
    reason: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRule:
    """A rule for a piece of any text.

    Attributes:
        name: what messages and reports call it.
        pattern: finds it; a group called `value` marks the piece, else the whole match.
        mark: stands for it: `<mark>`, or `<mark:1>` where identity is kept.
        keeps_identity: equal values get equal numbers, different ones different numbers.
        is_instant: the piece is a date and time, and stays unless it is near the run.
        reason: why the value says nothing about parity.
        source: who writes it.
        loose: finds at least as much in a text whose digits are all 0; None where
            `pattern` does so by itself.
    """

    name: str
    pattern: re.Pattern[str]
    mark: str
    keeps_identity: bool = False
    is_instant: bool = False
    reason: str
    source: str
    loose: re.Pattern[str] | None = None


FIELD_RULES: tuple[FieldRule, ...] = (
    FieldRule(
        name="instant-field",
        fields=("ts", "timestamp", "time", "*_at", "*_time", "created", "modified"),
        shape=Shape.INSTANT,
        mark="time",
        reason="no two runs happen at one time",
        source="osiris 0.5.7 core/session_logging.py, remote/rpc_protocol.py",
    ),
    FieldRule(
        name="duration-field",
        fields=(
            *("duration", "duration_s", "duration_ms", "duration_sec", "duration_seconds"),
            *("*_duration", "*_duration_s", "*_duration_ms", "*_duration_seconds"),
            *("elapsed", "elapsed_*", "overhead_ms", "*_overhead_ms"),
        ),
        shape=Shape.DURATION,
        mark="duration",
        reason="how long something took is reported, never compared",
        source="osiris 0.5.7 core/runner_v0.py, remote/proxy_worker.py",
    ),
    FieldRule(
        name="process-field",
        fields=("pid", "*_pid", "ppid", "tid", "thread_id"),
        shape=Shape.PID,
        mark="pid",
        keeps_identity=True,
        reason="the kernel numbers processes as they come",
        source="POSIX getpid",
    ),
    FieldRule(
        name="log-size-field",
        fields=("*_log_size", "events_size", "metrics_size", "log_size"),
        shape=Shape.SIZE,
        mark="log-size",
        reason="the size of a log follows the digits of the times that it holds",
        source="osiris 0.5.7 runtime/local_adapter.py, remote/e2b_transparent_proxy.py: collect",
    ),
    FieldRule(
        name="session-field",
        fields=("session", "session_id", "run_id"),
        shape=Shape.IDENTIFIER,
        mark="session",
        keeps_identity=True,
        reason="every run gets an id of its own; which one stands where is compared",
        source="osiris 0.5.7 core/session_logging.py",
    ),
    FieldRule(
        name="idempotency-field",
        fields=("request_id", "correlation_id", "trace_id", "span_id"),
        shape=Shape.IDENTIFIER,
        mark="request",
        keeps_identity=True,
        reason="drawn at random for each request",
        source="W3C Trace Context",
    ),
)

MEASURE_RULE = FieldRule(
    name="duration-metric",
    fields=("*duration*", "*_ms", "*overhead*", "*elapsed*", "*latency*"),
    shape=Shape.DURATION,
    mark="duration",
    reason="a metric that measures time: reported, never compared",
    source="osiris 0.5.7 core/runner_v0.py, remote/e2b_transparent_proxy.py: e2b_overhead_ms",
)
"""For a record with a name (`metric` or `name`) and a `value`; `fields` are patterns of names."""

TIME_UNITS = frozenset({"s", "sec", "seconds", "ms", "milliseconds"})

_WORD = r"[A-Za-z0-9_]"
_DAYS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"

TEXT_RULES: tuple[TextRule, ...] = (
    TextRule(
        name="session-name",
        pattern=re.compile(rf"(?<!{_WORD})\d{{8}}_\d{{6}}_[0-9a-f]{{8}}(?!{_WORD})"),
        mark="session",
        keeps_identity=True,
        reason="every run gets an id of its own; which one stands where is compared",
        source="osiris 0.5.7 core/session_logging.py: date, time and random hex",
    ),
    TextRule(
        name="session-number",
        pattern=re.compile(r"(?<!\d)run[_-](?P<value>1\d{12})(?!\d)"),
        loose=re.compile(r"run[_-]\d{13}"),
        mark="session",
        keeps_identity=True,
        reason="a session that is named after the millisecond of its start",
        source="osiris 0.5.7 cli/run.py",
    ),
    TextRule(
        name="uuid",
        pattern=re.compile(
            r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![0-9A-Za-z])"
        ),
        mark="uuid",
        keeps_identity=True,
        reason="drawn at random; which one stands where is compared",
        source="RFC 9562",
    ),
    TextRule(
        name="ulid",
        pattern=re.compile(r"(?i)(?<![0-9a-z])0[0-7][0-9a-hjkmnp-tv-z]{24}(?![0-9a-z])"),
        mark="ulid",
        keeps_identity=True,
        reason="time and random bits; which one stands where is compared",
        source="osiris 0.5.7 core/run_ids.py",
    ),
    TextRule(
        name="sandbox-id",
        pattern=re.compile(r"(?<![0-9a-z])i(?=[a-z]*\d)[a-z0-9]{20}(?![0-9a-z])"),
        mark="sandbox",
        keeps_identity=True,
        reason="the service names each sandbox anew; which one stands where is compared",
        source="e2b-dev/infra packages/api/internal/sandbox: `i` and 20 characters of a-z0-9",
    ),
    TextRule(
        name="instant",
        pattern=re.compile(
            r"(?<!\d)\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}"
            r"(?:[.,]\d{1,9})?(?:[Zz]|[+-]\d{2}:?\d{2})?(?!\d)"
        ),
        mark="time",
        is_instant=True,
        reason="no two runs happen at one time",
        source="Python logging, osiris 0.5.7 core/session_logging.py",
    ),
    TextRule(
        name="compact-instant",
        pattern=re.compile(r"(?<!\d)\d{8}[Tt]\d{6}[Zz](?![0-9A-Za-z])"),
        mark="time",
        is_instant=True,
        reason="no two runs happen at one time",
        source="osiris 0.5.7 core/fs_paths.py: names of run folders",
    ),
    TextRule(
        name="instant-with-slashes",
        pattern=re.compile(r"(?<!\d)\d{4}/\d{2}/\d{2} \d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?!\d)"),
        mark="time",
        is_instant=True,
        reason="no two runs happen at one time",
        source="Go log, nginx: the usual prefix of a line",
    ),
    TextRule(
        name="instant-in-words",
        pattern=re.compile(
            rf"(?<!\w)(?:{_DAYS})(?:, \d{{2}} (?:{_MONTHS}) \d{{4}} \d{{2}}:\d{{2}}:\d{{2}}"
            rf" (?:GMT|[+-]\d{{4}})| (?:{_MONTHS}) [ \d]\d \d{{2}}:\d{{2}}:\d{{2}} \d{{4}})(?!\w)"
        ),
        mark="time",
        is_instant=True,
        reason="no two runs happen at one time",
        source="RFC 9110 Date, C asctime",
    ),
    TextRule(
        name="told-duration",
        pattern=re.compile(
            r"(?<!\w)(?:[Tt]ook|[Ee]lapsed:?|"
            r"(?:[Dd]one|[Ff]inished|[Cc]ompleted|[Ss]ucceeded) in)\s"
            r"(?P<value>\d+:\d{2}:\d{2}(?:\.\d+)?(?!\w)|"
            r"\d+(?:\.\d)?(?=\s?(?:ms|s|secs?|seconds?)(?!\w)))"
        ),
        mark="duration",
        reason="how long something took is reported, never compared",
        source="pytest, pip, cargo: `… in 3s`; Python timedelta",
    ),
    TextRule(
        name="duration",
        pattern=re.compile(r"(?<![\w.])(?P<value>\d+\.\d{2,})\s?(?:s|ms|sec|secs|seconds)(?!\w)"),
        mark="duration",
        reason="how long something took is reported, never compared",
        source="osiris 0.5.7 drivers and adapters: messages with `:.2f`",
    ),
    TextRule(
        name="address",
        pattern=re.compile(r"(?<!\w)0x[0-9a-f]{8,16}(?!\w)"),
        mark="address",
        reason="where an object lies in memory changes with every process",
        source="CPython object.__repr__",
    ),
    TextRule(
        name="process",
        pattern=re.compile(r"(?i)(?<![\w<])p?pid[ =:]{1,2}(?P<value>\d{1,7})(?!\d)"),
        mark="pid",
        keeps_identity=True,
        reason="the kernel numbers processes as they come",
        source="POSIX getpid",
    ),
    TextRule(
        name="temporary-folder",
        pattern=re.compile(r"/(?:var/)?tmp/tmp[0-9a-z_]{8}(?![0-9a-z_])"),
        mark="tmp",
        keeps_identity=True,
        reason="drawn at random",
        source="CPython tempfile",
    ),
    TextRule(
        name="installed-packages",
        pattern=re.compile(r"(?:/[\w.@+-]+)+/(?:site|dist)-packages(?![\w-])"),
        mark="site-packages",
        reason="where libraries are installed is the machine's choice",
        source="CPython site",
    ),
    TextRule(
        name="standard-library",
        pattern=re.compile(r"(?:/[\w.@+-]+)*/lib/python3\.\d+(?![\w.-])"),
        loose=re.compile(r"/lib/python\d"),
        mark="python",
        reason="where Python is installed is the machine's choice",
        source="CPython site",
    ),
)
"""Applied in this order; an earlier rule's token is never touched by a later one."""
