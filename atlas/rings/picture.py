"""A manifold's points on their plane, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

SIZE, MARGIN, GAP, HEAD = 380, 62, 24, 64
LABEL = 30, 13  # width and height that a label is given
INK, FAINT, POINT, OTHER, MEMBER = "#222", "#bbb", "#4c9a6a", "#c9a24c", "#7a8fb5"


def as_svg(
    manifold: Mapping[str, Any], items: Sequence[Mapping[str, Any]], members: Sequence[Mapping[str, Any]]
) -> str:
    """Return two panels: the points on their plane, joined in the order found, and the features' decoder directions.

    Left, filled: the half of the documents that the plane was not fitted on; hollow: the half that it was. Right: the
    decoder directions of the features on the same plane, each of length 1, whatever they fire on.

    Parameters
    ----------
    manifold
        A row of `manifolds`.
    items, members
        Its rows of `manifold_items`, in order, and of `manifold_members`.
    """
    width, height = 2 * SIZE + GAP, SIZE + HEAD
    first, second = manifold["plane"]
    p = "" if manifold["p"] is None else f", p = {manifold['p']:.2g}, q = {manifold['q']:.2g}"
    head = [
        f"{manifold['geometry']} of {manifold['n_points']} {manifold['points']} in {manifold['size']} features{p}",
        f"components {first} and {second}: {manifold['plane_variance']:.0%} of the variance, "
        f"{manifold['simplex_variance']:.0%} of a simplex's; radius CV {manifold['radius_cv']:.2f}",
    ]
    body = [f'<text x="{MARGIN / 3:.0f}" y="{24 + 20 * row}">{escape(line)}</text>' for row, line in enumerate(head)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
            f'font-size="13" fill="{INK}">',
            '<rect width="100%" height="100%" fill="white"/>',
            *body,
            *_points(items, closed=manifold["geometry"] == "ring"),
            *_directions(members),
            "</svg>",
            "",
        ]
    )


def _points(items: Sequence[Mapping[str, Any]], *, closed: bool) -> list[str]:
    held = np.array([(one["x"], one["y"]) for one in items])
    fitted = np.array([(one["fitted_x"], one["fitted_y"]) for one in items])
    most = float(np.abs(np.concatenate([held, fitted])).max()) or 1.0
    places, others = (_scaled(some, most, 0) for some in (held, fitted))
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (*places, *places[: int(closed)]))
    body = [f'<polyline points="{path}" fill="none" stroke="{FAINT}"/>']
    body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="none" stroke="{OTHER}"/>' for x, y in others]
    centre = np.array([SIZE / 2, HEAD + SIZE / 2])
    labels: list[tuple[float, float]] = []
    for one, (x, y) in zip(items, places, strict=True):
        out = np.array([x, y]) - centre
        dx, dy = out / max(float(np.hypot(*out)), 1e-9) * 14
        anchor = "start" if dx > 5 else "end" if dx < -5 else "middle"
        body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{POINT}"/>')
        across, down = x + dx, y + dy + 4
        while any(abs(across - other) < LABEL[0] and abs(down - below) < LABEL[1] for other, below in labels):
            down += LABEL[1] if dy > 0 else -LABEL[1]  # outwards, past a label that is there
        labels.append((across, down))
        body.append(f'<text x="{across:.1f}" y="{down:.1f}" text-anchor="{anchor}">{escape(one["item"])}</text>')
    return body


def _directions(members: Sequence[Mapping[str, Any]]) -> list[str]:
    left = SIZE + GAP
    places = _scaled(np.array([(one["x"], one["y"]) for one in members]), 1.0, left)
    centre, radius = (left + SIZE / 2, HEAD + SIZE / 2), SIZE / 2 - MARGIN
    body = [
        f'<circle cx="{centre[0]:.1f}" cy="{centre[1]:.1f}" r="{radius:.1f}" fill="none" stroke="{FAINT}"/>',
        f'<text x="{centre[0]:.1f}" y="{HEAD + SIZE - 14}" text-anchor="middle">decoder directions of the features '
        "(circle: length 1)</text>",
    ]
    body += [
        f'<line x1="{centre[0]:.1f}" y1="{centre[1]:.1f}" x2="{x:.1f}" y2="{y:.1f}" stroke="{MEMBER}" '
        'stroke-opacity="0.6"/>'
        for x, y in places
    ]
    return body


def _scaled(places: Any, most: float, left: float) -> list[tuple[float, float]]:
    """Return places in the picture: the largest coordinate reaches the margin."""
    half = SIZE / 2
    scale = (half - MARGIN) / most
    return [(left + half + scale * float(x), HEAD + half - scale * float(y)) for x, y in places]
