"""The command `atlas score`."""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atlas.ingest import options
from atlas.score.cases import SEEDS, WORLDS, Case, check_seeds

if TYPE_CHECKING:
    from atlas.score.card import Card

logger = logging.getLogger("atlas")


class SeedsType(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.3 on
    """Seeds as `500:520`: from the first on, the last left out."""

    name = "FROM:TO"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range:
        """Return the range."""
        if isinstance(value, range):
            return value
        first, _, last = str(value).partition(":")
        try:
            found = range(int(first), int(last))
        except ValueError:
            self.fail(f"{value!r} is not of the form 500:520", param, ctx)
        return found


@click.command()
@click.option(
    "--seeds",
    type=SeedsType(),
    default=f"{SEEDS.start}:{SEEDS.stop}",
    show_default=True,
    help="Seeds, the last left out.",
)
@click.option("--worlds", multiple=True, metavar="WORLD...", help="Worlds: W0 W1.  [default: all]")
@click.argument("more", nargs=-1, metavar="")
@click.option("--background/--no-background", default=None, help="Only with, or only without.  [default: both]")
@click.option("--small", is_flag=True, help="Small worlds: a first look, and no figures to quote.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("atlas-score"),
    show_default=True,
    help="Folder of the card, and of what resumes it.",
)
@options.as_json
def score(
    seeds: range,
    worlds: tuple[str, ...],
    more: tuple[str, ...],
    background: bool | None,
    small: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Hold what the stages claim against planted worlds, whose truth is known.

    Each world is a set of firings drawn from a known law, run through counting, testing, communities and
    shapes as real ones are. Writes score.json, score.md and score.svg; every finished world is kept, and
    the same command goes on.
    """
    check_seeds(seeds)
    if more and not worlds:
        raise click.UsageError(f"{more[0]!r} is no option; did you mean --worlds {more[0]}?")
    cases = Case.of((*worlds, *more) or WORLDS, background=background, small=small)
    from atlas.files import write_json
    from atlas.ingest.interrupt import checkpoint
    from atlas.ingest.program import this_command
    from atlas.ingest.progress import progress
    from atlas.score.card import collect, summarise
    from atlas.score.report import as_markdown, as_svg

    with tempfile.TemporaryDirectory(prefix="atlas-score-") as scratch, _quiet_stages():
        judged = []
        for one in collect(cases, seeds, kept=out / "worlds", scratch=Path(scratch), track=progress):
            judged.append(one)
            checkpoint()
    card = summarise(judged)
    write_json(out / "score.json", card.as_json())
    (out / "score.md").write_text(as_markdown(card, command=this_command()), "utf8")
    (out / "score.svg").write_text(as_svg(card), "utf8")
    _show(card, out, as_json=as_json)


@contextlib.contextmanager
def _quiet_stages() -> Iterator[None]:
    """Leave out what the stages say of each of hundreds of worlds; progress and interruptions stay."""

    def own(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR or record.module in ("progress", "interrupt")

    logger.addFilter(own)
    try:
        yield
    finally:
        logger.removeFilter(own)


def _show(card: Card, out: Path, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"out": str(out), **card.as_json()}, ensure_ascii=False))
        return
    rows = [(one.case, one.name, round(one.interval.value, 3), f"{one.goal.side} {one.goal.value:g}",
             "yes" if one.reached else "no")
            for one in card.figures if one.goal is not None and one.interval.value is not None]  # fmt: skip
    options.show_rows(("world", "figure", "measured", "wanted", "reached"), rows)
    logger.info("written: %s, score.json, score.svg", out / "score.md")
