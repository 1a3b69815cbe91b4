"""How parity looks in a terminal: cases as they end, then differences, causes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from harness.cli.invocation import command_line
from harness.cli.verdicts import STYLES
from harness.model.outcome import Outcome
from harness.model.verdict import Check, Verdict
from harness.parity import CaseRun
from harness.settings import Settings
from harness.workflow.parity import Watcher

__all__ = ["ProgressLines", "print_difference", "print_parity"]

MAX_WIDTH = 10_000
MAX_VALUE_LINES = 6
MAX_PIPELINES = 4
Entry = Mapping[str, Any]  # one difference, as verdict.json has it


class ProgressLines(Watcher):
    """Writes one line to standard error whenever something is done."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    def began(self, what: str) -> None:
        """Says what takes a while now."""
        self._console.print(f"preparing {escape(what)} …", style="dim")

    def finished(self, run: CaseRun, check: Check, *, done: int, total: int) -> None:
        """Says how a case ended."""
        compared = run.comparison
        self._console.print(
            f"[{done}/{total}]".rjust(9),
            _word(check.outcome, known=bool(compared.differences), width=7),
            Text(f"{compared.pipeline}: here {compared.local}, sandbox {compared.remote}"),
            f"({run.duration_s:.1f} s)",
        )


def print_parity(verdict: Verdict, settings: Settings, *, verbose: bool = False) -> None:
    """Prints a verdict of parity to standard output.

    Args:
        verdict: the verdict, as it was written to verdict.json.
        settings: where reports and runs are.
        verbose: show also what is accepted, what follows from a cause, and the noise.
    """
    console = Console(highlight=False, soft_wrap=True)
    details: Entry = verdict.details
    _print_cases(console, verdict)
    _print_troubles(console, verdict)
    differences: list[Entry] = list(details.get("differences", []))
    heads = [item for item in differences if item["explained_by"] is None]
    causes = [item for item in heads if not item.get("known")]
    known = [item for item in heads if item.get("known")]
    if causes:
        new = "new " if known else ""
        told = f"1 {new}difference" if len(causes) == 1 else f"{len(causes)} {new}differences"
        console.print(f"\n[bold]{told}{', causes first' if len(causes) > 1 else ''}[/bold]")
    for item in differences if verbose else causes:
        _print_entry(console, item, differences)
    _print_known(console, known, differences)
    causes += known
    for item in details.get("allowance_problems", []):
        console.print(
            f"\n[red]allowance {escape(item['source'])}[/red] ({escape(item['path'])}): "
            f"{escape(item['message'])}\n  next: {escape(item['next_step'])}"
        )
    if verbose:
        _print_accepted(console, details.get("accepted", []))
        _print_noise(console, details.get("noise", []))
    _print_end(console, verdict, causes, settings)


def print_difference(entry: Entry, related: Sequence[Entry]) -> None:
    """Prints one difference whole, with what follows from it, and how to accept it."""
    console = Console(highlight=False, soft_wrap=True)
    _print_entry(console, entry, related, whole=True)
    for item in related:
        if item["explained_by"] == entry["id"]:
            console.print(f"  follows: {escape(item['path'])} ({item['kind']}), {item['count']}x")
    accepted = entry.get("allowance")
    if isinstance(accepted, Mapping):
        console.print(
            f"\naccepted by {escape(accepted['source'])} until {accepted['expires']}: "
            f"{escape(accepted['reason'])}"
        )
    elif accepted:
        console.print("\nto accept it, with a reason in the place of the dots:")
        accept = command_line("parity", "accept", str(entry["id"]))
        console.print(f'  {accept} --reason "…"')
        console.print("or paste:")
        console.print(escape(str(accepted)))
        console.print(f"to see it alone:\n  {escape(str(entry['reproduce']))}")


def _print_cases(console: Console, verdict: Verdict) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("case", "here", "sandbox", "verdict", "seconds", "differences"):
        justify: Literal["left", "right"] = "right" if heading == "seconds" else "left"
        table.add_column(heading, justify=justify, no_wrap=True)
    cases: list[Entry] = list(verdict.details.get("cases", []))  # type: ignore[arg-type]  # of verdict.json
    for case in cases:
        outcome = Outcome(case["outcome"])
        left, following = case["open"], case["following"]
        accepted = case["differences"] - left - following
        words = ((left, "open"), (following, "following"), (accepted, "accepted"))
        told = ", ".join(f"{count} {word}" for count, word in words if count)
        same = case["local"] == case["e2b"]
        table.add_row(
            escape(case["name"]),
            case["local"],
            Text(case["e2b"], style="" if same else "red"),
            _word(outcome, known=accepted > 0),
            f"{case['duration_s']:.1f}",
            told or ("not compared" if outcome is Outcome.BROKEN else "none"),
        )
    if cases:
        # A name that is cut short cannot be pasted: a narrow terminal wraps the line instead.
        # (`print` takes no width beyond the console's own, so the console gets wider.)
        console.width, narrow = MAX_WIDTH, console.width
        console.width = max(narrow, console.measure(table).maximum)
        console.print(table)
        console.width = narrow
    known = any(
        case["outcome"] == Outcome.PASSED.value and case["differences"] > 0 for case in cases
    )
    if known and verdict.details.get("accepting"):
        files = verdict.details.get("allowances_files")
        places = files if isinstance(files, list) else [verdict.details.get("allowances_file")]
        listing = verdict.details.get("without_allowances") or command_line(
            "parity", "run", "--no-allowances"
        )
        console.print(
            f"\n[yellow]known[/yellow]: passed, as every difference is accepted, with a reason, in "
            f"{escape(' and '.join(map(str, places)))}; `{escape(str(listing))}` lists them"
        )


def _word(outcome: Outcome, *, known: bool, width: int = 0) -> Text:
    """How a case ended: a pass that rests on allowances is not shown as a plain one."""
    if outcome is Outcome.PASSED and known:
        return Text("known".ljust(width), style="yellow")
    return Text(outcome.value.ljust(width), style=STYLES[outcome])


def _print_troubles(console: Console, verdict: Verdict) -> None:
    """What went wrong apart from differences: a broken case, a dead endpoint, no key."""
    for check in verdict.checks:
        if check.outcome in {Outcome.BROKEN, Outcome.NOT_RUN} or check.name in {"live", "endpoint"}:
            first, *rest = check.reason.splitlines() or [""]
            console.print(Text(check.outcome.value, style=STYLES[check.outcome]), end=" ")
            console.print(Text(f"{check.name}: {first}"))
            for line in rest:
                console.print(Text(f"  {line}"))


def _print_entry(
    console: Console, item: Entry, everything: Sequence[Entry], *, whole: bool = False
) -> None:
    place = f"step {item['step']}" if item["step"] else ""
    if item["component"]:
        place += f" ({item['component']})"
    head = Text.assemble(
        (f"\n{item['id']}", "cyan"), "  ", (item["path"], "bold"), f"  {item['kind']}"
    )
    console.print(head)
    names = item["pipelines"]
    shown = ", ".join(names if whole else names[:MAX_PIPELINES])
    if not whole and len(names) > MAX_PIPELINES:
        shown += f" and {len(names) - MAX_PIPELINES} more"
    counted = f" · {item['count']}x" if item["count"] > 1 else ""
    console.print(Text(f"  in {shown}{counted}{f' · {place}' if place else ''}", style="dim"))
    for label, value in (("here", item["local"]), ("sandbox", item["remote"])):
        _print_value(console, label, value, whole=whole)
    following = sum(1 for other in everything if other["explained_by"] == item["id"])
    if following:
        console.print(Text(f"  {following} more follow from it", style="dim"))


def _print_known(console: Console, known: Sequence[Entry], everything: Sequence[Entry]) -> None:
    """What other pipelines have shown already, by its cause: open, but no news."""
    if not known:
        return
    told = "1 difference" if len(known) == 1 else f"{len(known)} differences"
    console.print(f"\n[bold]{told} of known causes[/bold], open as no allowance names the pipeline")
    groups: dict[str, list[Entry]] = {}
    for item in known:
        groups.setdefault(item["known"]["link"] or item["known"]["source"], []).append(item)
    for link, items in groups.items():
        console.print(Text(f"\n{link}", style="bold"))
        for reason in dict.fromkeys(item["known"]["reason"] for item in items):
            console.print(Text(f"  {reason}"))
        for item in items:
            following = sum(1 for other in everything if other["explained_by"] == item["id"])
            then = f", {following} more follow from it" if following else ""
            names = item["pipelines"]
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            console.print(
                Text(f"  {item['id']}", style="cyan"),
                Text(f"{item['path']}  {item['kind']}  {item['count']}x in {names[0]}{more}{then}"),
            )
            for label, value in (("here", item["local"]), ("sandbox", item["remote"])):
                first = "(nothing)" if value is None else (value.splitlines() or [""])[0]
                console.print(Text(f"    {label:<9}{first}", style="dim"))
    accept = command_line("parity", "accept", "--known")
    console.print(f"\nto accept all of these, each for its reason: {escape(accept)}")


def _print_value(console: Console, label: str, value: str | None, *, whole: bool) -> None:
    lines = ["(nothing)"] if value is None else (value.splitlines() or [""])
    limit = len(lines) if whole else MAX_VALUE_LINES
    for number, line in enumerate(lines[:limit]):
        console.print(Text(f"  {label if number == 0 else '':<9}{line}"))
    if len(lines) > limit:
        console.print(Text(f"  {'':<9}… {len(lines) - limit} more lines"))


def _print_accepted(console: Console, accepted: Sequence[Entry]) -> None:
    if accepted:
        console.print(f"\n[bold]{len(accepted)} accepted[/bold]")
    for item in accepted:
        by = item["allowance"]
        follows = f", follows from {item['explained_by']}" if item["explained_by"] else ""
        console.print(
            f"{item['id']}  {escape(item['path'])}  {item['kind']}  "
            f"{item['count']}x in {len(item['pipelines'])}{follows}\n"
            f"  {escape(by['reason'])} ({escape(by['source'])}, until {by['expires']})"
        )


def _print_noise(console: Console, noise: Sequence[Entry]) -> None:
    """Noise by path: it is learned for a place, and read as a list of kinds."""
    for side, words in (("local", "local"), ("e2b", "remote")):
        counts = Counter(
            (item["path"], item["kind"]) for item in noise if item.get("side", "local") == side
        )
        if counts:
            total = sum(counts.values())
            console.print(f"\n[bold]{total} places of noise[/bold] between {words} runs")
        for (path, kind), count in counts.most_common():
            console.print(f"  {escape(path)}  {kind}  {count}x")


def _print_end(
    console: Console, verdict: Verdict, causes: Sequence[Entry], settings: Settings
) -> None:
    details: Entry = verdict.details
    counts = Counter(check.outcome for check in verdict.checks)
    told = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome])
    target = details.get("target") or {}
    accepted = [item for item in details.get("accepted", []) if item["explained_by"] is None]
    console.print(
        f"\n[bold]parity[/bold] of {target.get('name')} {target.get('version')} "
        f"on {verdict.endpoint}:",
        Text(verdict.outcome.value, style=STYLES[verdict.outcome]),
        f"({told}) · {len(causes)} open, {len(accepted)} accepted, "
        f"{len(details.get('noise', []))} noise · {verdict.duration_s:.0f} s",
    )
    if verdict.interrupted:
        console.print("interrupted before its end; every sandbox is ended")
    if details.get("cases"):
        console.print(f"runs: {settings.testing_env / 'runs' / str(details.get('run_id'))}")
    console.print(f"report: {settings.reports / verdict.session / 'verdict.json'}")
    if causes:
        first = causes[0]
        console.print("\nthe first one alone:")
        console.print(f"  {escape(str(first['reproduce']))}")
        console.print("whole, with what follows from it:")
        console.print(f"  {command_line('parity', 'show', str(first['id']))}")
        console.print("to accept it, with a reason in the place of the dots:")
        accept = command_line("parity", "accept", str(first["id"]))
        console.print(f'  {accept} --reason "…"')
        console.print("or paste:")
        console.print(escape(str(first["allowance"])))
