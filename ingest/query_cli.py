"""The commands `atlas query ...`: what the library holds, what a query says, and its answer."""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from atlas.ingest import options

if TYPE_CHECKING:
    from atlas.queries.contract import Parameter, Query
    from atlas.queries.run import Answer

logger = logging.getLogger("atlas")


def _names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Complete the name of a query: the shipped ones, and those of --queries."""
    from atlas.errors import QueryError
    from atlas.queries.library import library, read_folder

    known = dict(library())
    if ctx.params.get("queries"):
        with contextlib.suppress(QueryError):  # whoever runs a query is told; a completion has no place to
            known |= read_folder(ctx.params["queries"]).queries
    return [CompletionItem(name, help=each.title) for name, each in known.items() if name.startswith(incomplete)]


def _pairs(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Complete KEY=VALUE: the names of the query's parameters, and the values of those that have few."""
    found = _asked(ctx)
    if found is None:
        return []
    given = {pair.partition("=")[0] for pair in ctx.params.get("pairs") or ()}
    name, equals, value = incomplete.partition("=")
    if not equals:
        free = [each for each in found.parameters if each.name not in given and each.name.startswith(name)]
        return [CompletionItem(f"{each.name}=", help=each.meaning) for each in free]
    values = [each for parameter in found.parameters if parameter.name == name for each in _values(parameter)]
    return [CompletionItem(f"{name}={each}") for each in values if each.startswith(value)]


def _values(parameter: Parameter) -> tuple[str, ...]:
    return ("true", "false") if parameter.type == "boolean" else parameter.choices


def _asked(ctx: click.Context) -> Query | None:
    """Return the query whose name the command line holds already."""
    from atlas.errors import QueryError
    from atlas.queries.library import find

    words = [ctx.params.get("name"), *ctx.args]  # an option that lacks its value leaves the name among these
    try:
        return find(next((word for word in words if word), ""), ctx.params.get("queries"))
    except QueryError:
        return None


class _Run(click.Command):
    """Bash breaks words at `=`: what follows `-p level` is then two further words, `=` and the value."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Complete the value of the last parameter where bash has torn it off, else the options."""
        pairs: tuple[str, ...] = ctx.params.get("pairs") or ()
        found = _asked(ctx)
        torn = bool(pairs) and "=" not in pairs[-1] and (ctx.args[-1:] == ["="] or not ctx.args)
        if found is None or not torn or incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        values = [each for parameter in found.parameters if parameter.name == pairs[-1] for each in _values(parameter)]
        return [CompletionItem(each) for each in values if each.startswith(incomplete)]


_own = click.option(
    "--queries",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    envvar="ATLAS_QUERY_QUERIES",
    is_eager=True,  # what a name can be depends on it
    help="Folder of queries of your own, beside the shipped ones.",
)
_name = click.argument("name", shell_complete=_names)


@click.group()
def query() -> None:
    """Ask the atlas: a library of Cypher queries, each with its contract.

    The database is the one that NEO4J_URI names, else the managed server (`atlas db up`).
    """


@query.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@_own
def list_queries(as_json: bool, queries: Path | None) -> None:
    """List the queries."""
    from atlas.queries.contract import GROUPS
    from atlas.queries.library import library, read_folder

    own = read_folder(queries) if queries else None
    found = [*library().values(), *(own.queries.values() if own else ())]
    found.sort(key=lambda each: (GROUPS.index(each.group), each.name))
    if as_json:
        click.echo(json.dumps({"queries": [_contract(each) for each in found]}))
    else:
        rows = [(each.name, each.group, each.writes, each.question) for each in found]
        options.show_rows(("name", "group", "writes", "question"), rows)
    for error in own.refused.values() if own else ():
        logger.warning("left out: %s", error.cause)


@query.command()
@_name
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@_own
def show(name: str, as_json: bool, queries: Path | None) -> None:
    """Show a query: its contract and its statement."""
    from atlas.queries.library import find

    found = find(name, queries)
    if as_json:
        click.echo(json.dumps({**_contract(found), "statement": found.statement}))
    else:
        click.echo(f"{found.header}\n\n{found.statement}")


@query.command(cls=_Run)
@_name
@click.option(
    "-p", "--parameter", "pairs", multiple=True, metavar="KEY=VALUE", help="A parameter's value.", shell_complete=_pairs
)
@click.option("--limit", type=click.IntRange(min=1), help="Most rows.  [default: the query's]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, every value exact.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV on stdout; text a spreadsheet would compute gets a '.")
@click.option("--parquet", type=click.Path(path_type=Path, dir_okay=False), help="Write the rows to this file.")
@click.option("--force", is_flag=True, help="Write over a file that exists.")
@click.option("--explain", is_flag=True, help="Show the database's plan, and run nothing.")
@click.option("--write", is_flag=True, help="Allow a query whose header says that it writes.")
@_own
@click.option("--home", type=click.Path(path_type=Path), help="Folder of the managed server.")
def run(
    name: str,
    pairs: tuple[str, ...],
    limit: int | None,
    as_json: bool,
    as_csv: bool,
    parquet: Path | None,
    force: bool,
    explain: bool,
    write: bool,
    queries: Path | None,
    home: Path | None,
) -> None:
    """Run a query and show its answer.

    A query that only reads is sent as a read: the server refuses it if it writes. One that writes
    (it classifies anew) needs --write.
    """
    from atlas.errors import QueryError
    from atlas.queries.library import find
    from atlas.queries.run import parse_parameters

    if as_json + as_csv + bool(parquet) > 1:
        raise click.UsageError("--json, --csv and --parquet exclude each other")
    found = find(name, queries)
    values = parse_parameters(found, pairs)
    if explain:
        _show_plan(found, home, as_json=as_json)
        return
    if found.writes and not write:
        raise QueryError(f"query {name} writes to the atlas", "add --write to allow it")
    if write and not found.writes:
        raise QueryError(f"query {name} only reads", "leave --write out")
    _check_output(parquet, force=force)
    if limit is not None and any(each.name == "limit" for each in found.parameters):
        values["limit"] = limit
    _show(found, _ask(found, values, home), limit, as_json=as_json, as_csv=as_csv, parquet=parquet)


def _show(
    found: Query, answer: Answer, limit: int | None, *, as_json: bool, as_csv: bool, parquet: Path | None
) -> None:
    from atlas.queries import display

    rows = answer.rows[:limit]
    if as_json:
        said = {"query": found.name, "parameters": answer.parameters, "seconds": round(answer.seconds, 3)}
        click.echo(display.as_json(answer.columns, rows, **said))
    elif as_csv:
        click.echo(display.as_csv(answer.columns, rows), nl=False)
    elif parquet:
        display.write_parquet(parquet, found.columns, rows)
        logger.info("%d rows in %s", len(rows), parquet)
    else:
        options.show_rows(answer.columns, rows)
        if len(rows) == answer.parameters.get("limit", limit):
            logger.info("%d rows shown, which is the limit: --limit shows more", len(rows))


def _show_plan(found: Query, home: Path | None, *, as_json: bool) -> None:
    from atlas.ingest.connection import open_driver, resolve_target
    from atlas.queries import display
    from atlas.queries.run import plan

    target = resolve_target(home=home)
    logger.info("database: %s", target)
    with open_driver(target) as driver:
        root = plan(driver, found, database=target.database)
    click.echo(json.dumps(root, default=str) if as_json else display.as_plan(root), nl=as_json)


def _check_output(path: Path | None, *, force: bool) -> None:
    """Refuse a file that is there or cannot be written before the database is asked (fault 71)."""
    import os

    from atlas.errors import InputError

    if path is None:
        return
    if path.exists() and not force:
        raise InputError(f"{path} exists", "choose another file, or write over it with --force")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path.parent} is no folder that can be written", "choose another file")


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
    from atlas.queries.contract import ONLY, REQUIRED

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
        "graph": found.graph,
        "needs": found.needs or None,
        "cost": f"{found.cost}: {found.reason}" if found.cost else None,
        "parameters": [
            {
                "name": each.name,
                "type": each.type,
                "optional": each.optional,
                "choices": list(each.choices),
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
