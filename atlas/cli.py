"""The root of the command line: finds the commands, and turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from atlas.errors import AtlasError, InputError
from atlas.version import __version__

COMMANDS = {
    "demo": (
        "atlas.ingest.demo.cli:demo",
        "From nothing to a classified atlas of a real model in a real Neo4j.",
    ),
    "ingest": ("atlas.ingest.cli:ingest", "Build an atlas, stage by stage or in one go."),
    "db": ("atlas.ingest.server.cli:db", "The managed local Neo4j server."),
    "query": ("atlas.ingest.query_cli:query", "Ask the atlas: a library of Cypher queries."),
    "census": ("atlas.ingest.census_cli:census", "What portion of the features is of which sort."),
    "baseline": (
        "atlas.ingest.baseline_cli:baseline",
        "The atlas of a control: what the stages find where nothing is to be found.",
    ),
    "compare": ("atlas.ingest.baseline_cli:compare", "Hold a run against a control or a second seed."),
    "score": ("atlas.ingest.score_cli:score", "Hold what is claimed against planted worlds."),
}
ALONE = ("demo", "census", "baseline", "compare", "score")
"""Commands that are no group: their table of options has no tables in it."""
CONFIGURATION = "atlas.toml"


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run: `--help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; an unknown one is answered with the nearest name."""
        import difflib

        name = args[0] if args else ""
        if name and name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(COMMANDS)}."
            ctx.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "ATLAS",
        "max_content_width": 100,
    },
)
@click.version_option(__version__, prog_name="atlas")
@click.option("-q", "--quiet", is_flag=True, help="Only warnings and errors on stderr.")
@click.pass_context
def cli(ctx: click.Context, quiet: bool) -> None:
    """What a sparse autoencoder's features do together, as a graph in Neo4j.

    Every option can be given as an environment variable (ATLAS_INGEST_EDGES_PHI_CUT) or in
    atlas.toml in the working directory ([ingest.edges] phi_cut = 0.2); the command line wins.
    """
    logging.getLogger("atlas").setLevel(logging.WARNING if quiet else logging.INFO)
    ctx.default_map = _configuration(Path(CONFIGURATION))


def _configuration(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = tomllib.loads(path.read_text("utf8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path}: {error}", "mend the file, or move it away") from error
    for name, value in found.items():
        nested = value.values() if isinstance(value, dict) and name not in ALONE else ()
        if name in COMMANDS and not (isinstance(value, dict) and all(isinstance(inner, dict) for inner in nested)):
            section = f"[{name}]" if name in ALONE else f"[{name}.COMMAND]"
            raise InputError(f"{path}: {name} is not a table of options", f"write them under {section}")
    return found


class _ToStderr(logging.StreamHandler):  # type: ignore[type-arg]  # generic only in the stubs
    """Messages on the standard error of the moment (tests and progress bars exchange it)."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 failed, 2 usage, 3 bad input, 4 outside service, 5 memory or disk, 130."""
    logger = logging.getLogger("atlas")
    if not logger.handlers:
        handler = _ToStderr()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # fault 29: a terminal without UTF-8 shows "?" instead of failing
            stream.reconfigure(errors="replace")
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    from atlas.ingest.interrupt import checkpoint, interruptible

    _place_kernels()
    try:
        with interruptible():
            code = int(cli.main(args=arguments, prog_name="atlas", standalone_mode=False) or 0)
            checkpoint()
            return code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except AtlasError as error:
        _show(error)
        return error.exit_code
    except MemoryError:
        _say(
            "error: not enough memory",
            "remedy: give a smaller --batch-size or --memory, or run on a larger machine",
        )
        return 5
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted; what was finished is kept", "remedy: the same command goes on")
        return 130
    except BrokenPipeError:  # the reader of a pipe went away, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _place_kernels() -> None:
    """Have compiled kernels kept in the cache folder, or a temporary one, where the program's own is read-only.

    Without a place to write numba refuses to compile at all.
    """
    if "NUMBA_CACHE_DIR" in os.environ or os.access(Path(__file__).parent, os.W_OK):
        return
    import tempfile

    from atlas.ingest.paths import cache_home

    place = cache_home() / "kernels"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        place = Path(tempfile.mkdtemp(prefix="feature-atlas-"))
    os.environ["NUMBA_CACHE_DIR"] = str(place)


def _show(error: AtlasError) -> None:
    if "--json" in sys.argv:
        text = {"error": error.cause, "remedy": error.remedy, "exit_code": error.exit_code}
        click.echo(json.dumps(text, ensure_ascii=False), err=True)
        return
    _say(f"error: {error.cause}", *([f"remedy: {error.remedy}"] if error.remedy else []))


def _say(*lines: str) -> None:
    for line in lines:
        click.echo(line, err=True)
