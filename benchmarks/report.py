"""Medians and ratios as Markdown tables, and growth as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks.cases import GOALS, GROWING, GROWTH_REPEATS, Case, Goal, Run
from benchmarks.measure import Measured
from benchmarks.registry import METHODS, Size

NONE = "-"
BY = "x"
TITLES = {"tokens": "more tokens", "d": "more features", "L0": "more firings a token"}


@dataclass(frozen=True)
class Outcome:
    """The measurements of one case.

    Attributes
    ----------
    increments, largest
        Pairs of firings over all tokens, and the largest count of a feature.
    tokens
        Tokens that each method was timed on.
    rounds
        What each method and number of threads gave, round by round, in memory that was touched before.
    fresh
        What each gave in a first round, in memory as the process got it.
    """

    case: Case
    size: Size
    increments: int
    largest: int
    tokens: dict[str, int]
    rounds: dict[Run, list[Measured]]
    fresh: dict[Run, Measured]

    @property
    def first(self) -> Outcome:
        """The first round alone."""
        return replace(self, rounds={run: [one] for run, one in self.fresh.items()})

    def nanoseconds(self, run: Run, *, counting: bool = False) -> list[float]:
        """Return nanoseconds per increment, round by round; none where the method gave no figures."""
        found = [one for one in self.rounds.get(run, []) if not one.failure]
        return [1e9 * (one.laps.get("counted", one.seconds) if counting else one.seconds) / one.work for one in found]

    def ratios(self, over: Run, under: Run, *, measure: str = "time") -> list[float]:
        """Return ratios of two methods, each of figures of one round."""

        def figures(run: Run) -> list[float]:
            if measure == "memory":
                return [float(one.peak) for one in self.rounds.get(run, [])]
            return self.nanoseconds(run, counting=measure == "counting")

        above, below = figures(over), figures(under)
        return [a / b for a, b in zip(above, below, strict=False) if a and b]


def document(outcomes: Sequence[Outcome], *, command: str, machine: str, versions: str, repeats: int) -> str:
    """Return everything as Markdown."""
    named = {outcome.case.name: outcome for outcome in outcomes}
    parts = [
        f"`{command}`\n",
        f"{machine}; {versions}. Medians of {repeats} rounds; in a round every method runs once, in turn, in a process "
        "of its own, and ratios are of one round. The input is in memory in the form that each method likes best, and "
        "as much memory as the method takes is touched before the clock starts; *fresh* is a first round without "
        "that, where the system has to find the memory first. Peak memory is what comes on top of the input. An "
        "increment is a pair of firings on one token. *Counted* is ours before the finished rows are read through. "
        "The methods agree in the number of pairs and the sum of counts "
        "(on a share of the tokens, in the sum); entry by entry they are compared in `tests/test_benchmarks.py`.\n",
        _goals(named),
    ]
    parts += [_case(outcome) for outcome in outcomes if not outcome.case.axis]
    growth = [outcome for outcome in outcomes if outcome.case.axis]
    return "\n".join([*parts, _growth(growth)] if growth else parts)


def _goals(named: dict[str, Outcome]) -> str:
    lines = ["| case | figure | measured | fresh | wanted |", "|---|---|---|---|---|"]
    for goal in GOALS:
        if goal.case in named:
            outcome = named[goal.case]
            ratios = (one.ratios(goal.over, goal.under, measure=goal.measure) for one in (outcome, outcome.first))
            lines.append(f"| {goal.case} | {goal.text} | {' | '.join(map(_ratio, ratios))} | {_wanted(goal)} |")
    return "\n".join([*lines, ""]) if len(lines) > 2 else ""


def _wanted(goal: Goal) -> str:
    return f"{goal.sense} {goal.wanted:g}"


def _case(outcome: Outcome) -> str:
    size = outcome.size
    each = outcome.increments / max(1, size.distinct)
    lines = [
        f"### {outcome.case.title}\n",
        f"{size.n_tokens:,} tokens, {size.firings / size.n_tokens:.0f} firings each, {outcome.increments:,} "
        f"increments, {size.distinct:,} pairs seen ({each:.1f} increments each).\n",
        "| method | threads | gives | ns an increment | least to most | fresh | counted | seconds | peak, GB "
        "| SciPy's time by its | its time by the floor's |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(outcome, run) for run in outcome.case.runs if run in outcome.rounds]
    return "\n".join([*lines, "", *_notes(outcome)])


def _row(outcome: Outcome, run: Run) -> str:
    name, threads = run
    about, rounds = METHODS[name], outcome.rounds[run]
    start = f"| {about.title} | {threads} | {about.gives} |"
    failure = next((one.failure for one in rounds if one.failure), "")
    if failure:
        return f"{start} {failure} |" + f" {NONE} |" * 7
    times = outcome.nanoseconds(run)
    counted = f"{median(outcome.nanoseconds(run, counting=True)):.2f}" if "counted" in rounds[0].laps else NONE
    whole = outcome.increments if not name.startswith("floor") else rounds[0].work
    seconds = f"{median(times) * whole / 1e9:.2f}"
    if outcome.tokens[name] < outcome.size.n_tokens:
        seconds = f"~{seconds}"
    peak = f"{median([one.peak for one in rounds]) / 1e9:.2f}"
    against = [_ratio(outcome.ratios(("scipy", 1), run)), _ratio(outcome.ratios(run, ("floor", threads)))]
    if name.startswith("floor"):
        against = [NONE, NONE]
    fresh = "".join(f"{time:.2f}" for time in outcome.first.nanoseconds(run)) or NONE
    cells = [f"{median(times):.2f}", f"{min(times):.2f} to {max(times):.2f}", fresh, counted, seconds, peak, *against]
    return f"{start} {' | '.join(cells)} |"


def _ratio(ratios: list[float]) -> str:
    return f"{median(ratios):#.3g}".rstrip(".") + BY if ratios else NONE


def _notes(outcome: Outcome) -> list[str]:
    notes = []
    for name, n_tokens in outcome.tokens.items():
        about = METHODS[name]
        if n_tokens < outcome.size.n_tokens:
            notes.append(f"~ {about.title} is timed on the first {n_tokens:,} tokens and scaled by increments.")
        if about.exact_below is not None and outcome.largest >= about.exact_below:
            notes.append(f"{about.title} is not exact here: counts may reach {outcome.largest:,}.")
    return [f"{note}\n" for note in notes]


def _growth(outcomes: Sequence[Outcome]) -> str:
    runs = list(dict.fromkeys(run for outcome in outcomes for run in outcome.rounds))
    titles = [METHODS[name].title for name, _ in runs]
    lines = [
        "### Growth\n",
        "Nanoseconds an increment. L0 = 100 and d = 16,384 where they do not grow; 25,000 tokens where d grows, 50,000 "
        f"where L0 does; {GROWTH_REPEATS} rounds at most.\n",
        "| what grows | increments | pairs seen | " + " | ".join(titles) + " |",
        "|---|---|---|" + "---|" * len(titles),
    ]
    for outcome in outcomes:
        times = [outcome.nanoseconds(run) for run in runs]
        cells = [f"{median(some):.2f}" if some else NONE for some in times]
        start = f"| {outcome.case.title} | {outcome.increments:,} | {outcome.size.distinct:,} | "
        lines.append(start + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def plot(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw seconds by tokens, nanoseconds an increment by d, and seconds by L0, all of them logarithmic."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    mpl.rcParams["svg.hashsalt"] = "feature-atlas"  # the same drawing has the same bytes
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    for axes, (axis, _) in zip(figure.subplots(1, len(GROWING)), GROWING, strict=True):
        points = [outcome for outcome in outcomes if outcome.case.axis == axis]
        for run in dict.fromkeys(run for point in points for run in point.rounds):
            known = [point for point in points if point.nanoseconds(run)]
            places = [point.case.at if axis == "d" else point.increments for point in known]
            times = [median(point.nanoseconds(run)) for point in known]
            if axis != "d":
                times = [time * point.increments / 1e9 for time, point in zip(times, known, strict=True)]
            axes.plot(places, times, marker="o", label=METHODS[run[0]].title.translate({42: None, 96: None}))
        axes.set(xscale="log", yscale="log", title=TITLES[axis], xlabel="d" if axis == "d" else "increments")
        axes.xaxis.set_minor_formatter(NullFormatter())
        if axis != "d" and axes.lines:
            start, first = axes.lines[0].get_xdata()[0], axes.lines[0].get_ydata()[0]
            last = points[-1].increments
            axes.plot([start, last], [first, first * last / start], ":", color="gray", label="linear in increments")
        axes.set_ylabel("ns an increment" if axis == "d" else "seconds")
        axes.grid(alpha=0.3, which="both")
    lines, labels = figure.axes[0].get_legend_handles_labels()
    if lines:
        figure.axes[0].legend(lines, labels)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
