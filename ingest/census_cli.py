"""The command `atlas census`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atlas.ingest import options
from atlas.schema.census_fields import FACETS

if TYPE_CHECKING:
    from atlas.artifacts import Artifact

_COLUMNS = ("facet", "value", "count", "share", "low", "high")
_OF_CONTROL = ("control_count", "control_share", "ratio")
_DIGITS = 4


@click.command()
@click.option("--facet", "facets", multiple=True, type=click.Choice((*FACETS, "flag", "all")),
              help="Only this facet; may be repeated.  [default: every one but the cells of `all`]")  # fmt: skip
@click.option("--control", type=click.Path(path_type=Path, file_okay=False, exists=True),
              help="Run directory of a control, whose shares are put beside.")  # fmt: skip
@options.seed
@options.run
@options.as_json
def census(
    run_directory: Path, control: Path | None, facets: tuple[str, ...], seed: int, as_json: bool
) -> None:
    """What portion of the features is of which sort, with intervals, and a control's share beside each.

    Sorts are those that the finished stages claim: magnitude, geometry, role, basis. Shares are of the alive
    features; intervals draw communities anew.
    """
    found = _census(run_directory, seed)
    other = None if control is None else _census(control, seed)
    wanted = facets or (*FACETS, "flag")
    rows = [row for row in _beside(found, other) if row["facet"] in wanted]
    if as_json:
        of = {"run": str(run_directory), "control": None if control is None else str(control)}
        click.echo(json.dumps({**of, **found.results, "rows": rows}, ensure_ascii=False))
        return
    columns = _COLUMNS if other is None else (*_COLUMNS, *_OF_CONTROL)
    options.show_rows(columns, [[_rounded(row[name]) for name in columns] for row in rows])


def _census(directory: Path, seed: int) -> Artifact:
    from atlas.artifacts import Run
    from atlas.census import census as made

    with Run(directory) as run:
        return made(run, seed=seed)


def _beside(found: Artifact, other: Artifact | None) -> list[dict[str, Any]]:
    """Return the rows of a census, with the control's count and share; classes that only the control has are at 0."""
    rows = {(row["facet"], row["value"]): row for row in found.table("feature_census").to_pylist()}
    if other is None:
        return list(rows.values())
    of_control = {(row["facet"], row["value"]): row for row in other.table("feature_census").to_pylist()}
    nothing = dict.fromkeys(("count", "share", "low", "high"), 0)
    order = (*FACETS, "flag", "all")
    beside = []
    for facet, value in sorted({*rows, *of_control}, key=lambda key: (order.index(key[0]), key[1])):
        row = rows.get((facet, value), {"facet": facet, "value": value, **nothing})
        control = of_control.get((facet, value), nothing)
        ratio = row["share"] / control["share"] if control["share"] else None
        beside.append({**row, **dict(zip(_OF_CONTROL, (control["count"], control["share"], ratio), strict=True))})
    return beside


def _rounded(value: Any) -> Any:
    return round(value, _DIGITS) if isinstance(value, float) else value
