"""The commands `atlas query ...`: what the library holds, what a query says, and its answer."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atlas.ingest import options

if TYPE_CHECKING:
    from atlas.queries.library import Query
    from atlas.queries.run import Answer

logger = logging.getLogger("atlas")


@click.group()
def query() -> None:
    """Ask the atlas: a library of Cypher queries, each with its contract.

    The database is the one that NEO4J_URI names, else the managed server (`atlas db up`).
    """


@query.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def list_queries(as_json: bool) -> None:
    """List the queries."""
    from atlas.queries.library import GROUPS, library

    queries = sorted(library().values(), key=lambda each: (GROUPS.index(each.group), each.name))
    if as_json:
        click.echo(json.dumps({"queries": [_contract(each) for each in queries]}))
        return
    rows = [(each.name, each.group, each.writes, each.question) for each in queries]
    options.show_rows(("name", "group", "writes", "question"), rows)


@query.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def show(name: str, as_json: bool) -> None:
    """Show a query: its contract and its statement."""
    from atlas.queries.library import find

    found = find(name)
    if as_json:
        click.echo(json.dumps({**_contract(found), "statement": found.statement}))
    else:
        click.echo(f"{found.header}\n\n{found.statement}")


@query.command()
@click.argument("name")
@click.option("-p", "--parameter", "pairs", multiple=True, metavar="KEY=VALUE", help="A parameter's value.")
@click.option("--limit", type=click.IntRange(min=1), help="Most rows.  [default: the query's]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, every value exact.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV on stdout; text a spreadsheet would compute gets a '.")
@click.option("--write", is_flag=True, help="Allow a query whose header says that it writes.")
@click.option("--home", type=click.Path(path_type=Path), help="Folder of the managed server.")
def run(
    name: str,
    pairs: tuple[str, ...],
    limit: int | None,
    as_json: bool,
    as_csv: bool,
    write: bool,
    home: Path | None,
) -> None:
    """Run a query and show its answer.

    A query that only reads is sent as a read: the server refuses it if it writes. One that writes
    (it classifies anew) needs --write.
    """
    from atlas.errors import QueryError
    from atlas.queries.library import find
    from atlas.queries.run import parse_parameters

    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    found = find(name)
    if found.writes and not write:
        raise QueryError(f"query {name} writes to the atlas", "add --write to allow it")
    if write and not found.writes:
        raise QueryError(f"query {name} only reads", "leave --write out")
    values = parse_parameters(found, pairs)
    if limit is not None and any(each.name == "limit" for each in found.parameters):
        values["limit"] = limit
    answer = _ask(found, values, home)
    rows = answer.rows[:limit]
    if as_json:
        from atlas.queries import display

        said = {"query": found.name, "parameters": answer.parameters, "seconds": round(answer.seconds, 3)}
        click.echo(display.as_json(answer.columns, rows, **said))
    elif as_csv:
        from atlas.queries import display

        click.echo(display.as_csv(answer.columns, rows), nl=False)
    else:
        options.show_rows(answer.columns, rows)
        if len(rows) == answer.parameters.get("limit", limit):
            logger.info("%d rows shown, which is the limit: --limit shows more", len(rows))


def _ask(found: Query, values: dict[str, Any], home: Path | None) -> Answer:
    from atlas.ingest.connection import open_driver, resolve_target
    from atlas.queries.run import run as run_query

    target = resolve_target(home=home)
    logger.info("database: %s", target)
    with open_driver(target) as driver:
        answer = run_query(driver, found, values, database=target.database)
    for notification in answer.notifications:
        logger.warning("the database remarks: %s", notification)
    return answer


def _contract(found: Query) -> dict[str, Any]:
    from atlas.queries.library import ONLY, REQUIRED

    def default(value: Any) -> dict[str, Any]:
        if value is REQUIRED:
            return {"required": True}
        return {"required": False, "default": "the only atlas" if value is ONLY else value}

    return {
        "name": found.name,
        "title": found.title,
        "question": found.question,
        "group": found.group,
        "writes": found.writes,
        "parameters": [
            {
                "name": each.name,
                "type": each.type,
                "optional": each.optional,
                "meaning": each.meaning,
                **default(each.default),
            }
            for each in found.parameters
        ],
        "columns": [
            {"name": each.name, "type": each.type, "optional": each.optional, "meaning": each.meaning}
            for each in found.columns
        ],
    }
