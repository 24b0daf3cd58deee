"""Typical histograms of each class as a picture: what the words set, variable and multi-peak look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from atlas.magnitude.explaining import CAUSES
from atlas.magnitude.modality import CLASSES

COLUMNS = 4
WIDTH, HEIGHT, GAP, LEFT, TOP, CAPTION = 190, 80, 18, 110, 30, 34
BAR, PEAK, INK = "#4c9a6a", "#c9584c", "#222"
_SHOWN = 28  # signs of a caption


def as_svg(rows: Sequence[Mapping[str, Any]], names: Mapping[int, str]) -> str:
    """Return four histograms of each class, a tick at each peak.

    Of one-peaked classes those at the quantiles .2, .4, .6 and .8 of the coefficient of variation, of the unclear
    those of the dip's p-value, and of multi-peak features one of the most firings for each cause that is there.

    Parameters
    ----------
    rows
        Rows of the table `magnitude`.
    names
        Caption of each feature; the index stands for one that has none.
    """
    body = []
    for line, name in enumerate(CLASSES):
        top = TOP + line * (HEIGHT + CAPTION + GAP)
        some = [row for row in rows if row["magnitude"] == name]
        body.append(f'<text x="8" y="{top + HEIGHT / 2:.0f}" font-weight="bold">{name}</text>')
        body.append(f'<text x="8" y="{top + HEIGHT / 2 + 16:.0f}">{len(some):,} features</text>')
        for column, row in enumerate(_typical(name, some)):
            body += _panel(row, names, LEFT + column * (WIDTH + GAP), top)
    width, height = LEFT + COLUMNS * (WIDTH + GAP), TOP + len(CLASSES) * (HEIGHT + CAPTION + GAP)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
            f'font-size="12" fill="{INK}">',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="{LEFT}" y="18">activations above the threshold, from 0; tick: a peak of the density</text>',
            *body,
            "</svg>",
            "",
        ]
    )


def _typical(name: str, some: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return up to four features of a class."""
    if not some:
        return []
    if name == "multi-peak":
        by_cause = ([row for row in some if _first_cause(row) == cause] for cause in CAUSES)
        largest = [max(rows, key=lambda row: (row["positive_count"], -row["index"])) for rows in by_cause if rows]
        return largest if len(largest) <= COLUMNS else [*largest[: COLUMNS - 1], largest[-1]]
    key = "dip_p" if name == "unclear" else "magnitude_cv"
    ordered = sorted(some, key=lambda row: (row[key], row["index"]))
    places = dict.fromkeys(round(share * (len(ordered) - 1)) for share in (0.2, 0.4, 0.6, 0.8))
    return [ordered[place] for place in places]


def _first_cause(row: Mapping[str, Any]) -> str:
    return str(min(row["peak_causes"] or ["intrinsic"], key=CAUSES.index))


def _panel(row: Mapping[str, Any], names: Mapping[int, str], x: int, y: int) -> list[str]:
    """Return one histogram with its peaks, its feature and what stands out."""
    counts, high = row["histogram"], row["histogram_high"]
    wide, most = WIDTH / len(counts), max(counts)
    bars = [
        f'<rect x="{x + place * wide:.1f}" y="{y + HEIGHT * (1 - n / most):.1f}" width="{wide - 0.5:.1f}" '
        f'height="{HEIGHT * n / most:.1f}" fill="{BAR}"/>'
        for place, n in enumerate(counts)
    ]
    ticks = [
        f'<line x1="{x + WIDTH * min(at / high, 1):.1f}" x2="{x + WIDTH * min(at / high, 1):.1f}" y1="{y + HEIGHT}" '
        f'y2="{y + HEIGHT + 6}" stroke="{PEAK}" stroke-width="2"/>'
        for at in row["peak_places"] or ()
    ]
    said = f"n {row['positive_count']:,}, cv {row['magnitude_cv']:.2f}"
    if row["magnitude"] == "unclear":
        said += f", dip p {row['dip_p']:.2f}"
    if row["magnitude"] == "multi-peak":
        said += f", {_first_cause(row)}"
    caption = names.get(row["index"], f"feature {row['index']}")
    caption = caption if len(caption) <= _SHOWN else caption[: _SHOWN - 1] + "…"
    return [
        *bars,
        f'<line x1="{x}" x2="{x + WIDTH}" y1="{y + HEIGHT}" y2="{y + HEIGHT}" stroke="{INK}"/>',
        *ticks,
        f'<text x="{x}" y="{y + HEIGHT + 18}">{escape(caption)}</text>',
        f'<text x="{x}" y="{y + HEIGHT + 31}" fill="#666">{escape(said)}</text>',
    ]
