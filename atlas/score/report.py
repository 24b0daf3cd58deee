"""The score card as Markdown, and as a picture of bars with their intervals and goals."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from atlas.score.card import Card, Figure

ROW, LEFT, WIDTH, MARGIN = 20, 370, 420, 24
HEADINGS = {"verdicts": "Verdicts on planted sets"}
BAR, MISSED, INK = "#4c9a6a", "#c9584c", "#222"


def as_markdown(card: Card, *, command: str) -> str:
    """Return the card as Markdown: figures with a goal first, then the others, then the confusion of shapes."""
    wanted = [one for one in card.figures if one.goal is not None]
    others = [one for one in card.figures if one.goal is None and one.interval.value is not None]
    parts = [
        f"`{command}`\n",
        _seeds(card),
        _table(wanted, goals=True),
        "### Beside them\n",
        _table(others, goals=False),
    ]
    for who, rows in card.confusion.items():
        parts += [f"### {HEADINGS.get(who, f'Shapes with edge noise, as called by the {who}')}\n", _matrix(rows)]
    return "\n".join(parts)


def _seeds(card: Card) -> str:
    size = "Small worlds, which say less" if card.small else "Worlds of full size"
    return f"{size}; {len(card.seeds)} seeds, {card.seeds[0]} to {card.seeds[-1]}.\n"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _table(figures: Iterable[Figure], *, goals: bool) -> str:
    head = ["world", "figure", "measured", "95 % interval", "over", *(["wanted", "reached"] if goals else [])]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for one in figures:
        found = one.interval
        span = "-" if found.low is None else f"{_number(found.low)} to {_number(found.high)}"
        row = [one.case, one.name, _number(found.value), span, f"{found.n:,}"]
        if one.goal is not None:
            row += [f"{one.goal.side} {one.goal.value:g}", {True: "yes", False: "**no**", None: "-"}[one.reached]]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def _matrix(rows: dict[str, dict[str, int]]) -> str:
    called = list(dict.fromkeys([*rows, *sorted({name for row in rows.values() for name in row})]))
    called = [name for name in called if any(name in row for row in rows.values())]
    lines = [f"| planted | {' | '.join(called)} |", f"|---|{'---|' * len(called)}"]
    lines += [f"| {shape} | {' | '.join(str(row.get(name, 0)) for name in called)} |" for shape, row in rows.items()]
    return "\n".join(lines) + "\n"


def as_svg(card: Card) -> str:
    """Return the figures that have a goal as bars, red where it is missed: the interval is a line, the goal a tick."""
    figures = [one for one in card.figures if one.goal is not None and one.interval.value is not None]
    height = 3 * MARGIN + ROW * len(figures)
    body = [line for number, one in enumerate(figures) for line in _bar(one, 2 * MARGIN + ROW * number)]
    ticks = [f'<text x="{LEFT + WIDTH * x:.0f}" y="{height - 8}" text-anchor="middle">{x:g}</text>'
             for x in (0, 0.25, 0.5, 0.75, 1)]  # fmt: skip
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 90}" height="{height}" '
            f'font-family="sans-serif" font-size="12" fill="{INK}">',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="{LEFT}" y="{MARGIN}">bar: measured; line: 95 % interval; tick: wanted</text>',
            *body,
            *ticks,
            "</svg>",
            "",
        ]
    )


def _bar(one: Figure, y: int) -> list[str]:
    found, goal = one.interval, one.goal
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert goal is not None
    middle = y + ROW / 2 - 2
    x, low, high, wanted = (LEFT + WIDTH * share for share in (found.value, found.low, found.high, goal.value))
    sign = "≥" if goal.side == "at least" else "≤"
    return [
        f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(f"{one.case}, {one.name}")}</text>',
        f'<rect x="{LEFT}" y="{y + 2}" width="{max(1.0, x - LEFT):.1f}" height="{ROW - 8}" '
        f'fill="{BAR if one.reached else MISSED}"/>',
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" stroke="{INK}"/>',
        f'<line x1="{wanted:.1f}" x2="{wanted:.1f}" y1="{y}" y2="{y + ROW - 4}" stroke="{INK}" stroke-width="2"/>',
        f'<text x="{LEFT + WIDTH + 8}" y="{y + 12}">{found.value:.3f} ({sign} {goal.value:g})</text>',
    ]
