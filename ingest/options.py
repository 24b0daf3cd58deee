"""The options that several commands share, each with one name and one meaning."""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from atlas.artifacts import Artifact

Command = TypeVar("Command", bound=Callable[..., Any])
DEFAULT_RUN = Path("atlas-run")


class Size(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.3 on
    """A number of bytes: `4G`, `500M`, `1073741824`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes."""
        if isinstance(value, int):
            return value
        units = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
        text = str(value).strip().upper().removesuffix("IB").removesuffix("B")
        factor = units.get(text[-1:], 1)
        number = text[:-1] if text[-1:] in units else text
        try:
            size = int(float(number) * factor)
        except (ValueError, OverflowError):
            size = 0
        if size <= 0:
            self.fail(f"{value!r} is no size; write 500M or 4G", param, ctx)
        return size


class Number(click.FloatRange):
    """A finite number within bounds: the library's own lets `nan` through every bound."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class Contexts(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.3 on
    """What is kept of a feature's firings: `all`, or `reservoir:K`."""

    name = "all|reservoir:K"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, without leading zeros."""
        if value == "all":
            return "all"
        from atlas.errors import InputError
        from atlas.indexing import reservoir_size

        try:
            return f"reservoir:{reservoir_size(str(value))}"
        except InputError:
            self.fail(f"{value!r} is neither all nor reservoir:K; write reservoir:64", param, ctx)


def options(*chosen: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return one decorator for several options, shown in the order given."""

    def decorate(function: Command) -> Command:
        return functools.reduce(lambda wrapped, option: option(wrapped), reversed(chosen), function)

    return decorate


run = click.option(
    "--run",
    "run_directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_RUN,
    show_default=True,
    help="Run directory: every artifact of one atlas.",
)
seed = click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
memory = click.option(
    "--memory",
    type=Size(),
    default="4G",
    show_default=True,
    help="Memory for counting; does not change the result.",
)

threads = click.option("--threads", type=click.IntRange(min=1), help="Counting threads.  [default: all cores]")
device = click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda[:N].")

source = options(
    click.option("--model", help="Model name, or a folder with a saved model."),
    click.option("--sae", help="SAE release, or a folder with a saved SAE."),
    click.option("--sae-id", help="SAE within its release."),
    click.option(
        "--corpus",
        help="Text: .txt, .jsonl, .parquet, a folder, or a data set's name.",
    ),
    click.option("--text-column", default="text", show_default=True, help="Column of the text."),
    click.option("--split", default="train", show_default=True, help="Split of a data set."),
    click.option("--subset", help="Configuration of a data set."),
    click.option("--tokens", type=click.IntRange(min=1), help="Tokens wanted.  [default: the whole corpus]"),
    click.option("--context", type=click.IntRange(min=2), help="Tokens of a window.  [default: from the SAE]"),
    click.option(
        "--prepend-bos/--no-prepend-bos",
        default=None,
        help="BOS before each window.  [default: from the SAE]",
    ),
    click.option("--norm-scaling-factor", type=Number(), help="Factor that the SAE's activations were scaled by."),
    click.option(
        "--precision",
        type=click.Choice(["float32", "bfloat16", "float16"]),
        default="float32",
        show_default=True,
        help="Number format that the model computes in.",
    ),
    click.option("--hook", help="Where in the model the SAE reads.  [default: from the SAE]"),
    click.option(
        "--special-token",
        "special_tokens",
        multiple=True,
        help="Token id or text to drop; BOS, EOS, PAD are.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        default=16,
        show_default=True,
        help="Windows a forward pass.",
    ),
    click.option(
        "--shard-tokens", type=click.IntRange(min=1), default=16384, show_default=True, help="Tokens a shard."
    ),
    click.option(
        "--contexts",
        type=Contexts(),
        default="all",
        show_default=True,
        help="Firings kept by feature: all, or a sample of K each, for runs too long for the stages after counts.",
    ),
    click.option("--entropy", is_flag=True,
                 help="Keep the entropy of the model's next token, too: the model is run to its end."),
    device,
    click.option("--expect-l0/--no-expect-l0", default=True, help="Stop where L0 is far from the registry's."),
)
finishing = options(
    click.option(
        "--prune",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Leave out pairs seen on fewer tokens.",
    ),
    click.option(
        "--span",
        type=click.IntRange(min=2),
        default=512,
        show_default=True,
        help="Longest stratum in tokens.",
    ),
)
counting = options(
    click.option(
        "--rule",
        "rules",
        multiple=True,
        default=("rel:0.5",),
        show_default=True,
        help="Firing rule counted beside `any` in the one pass: abs:T or rel:q; `any` for no other.",
    ),
    click.option("--sums/--no-sums", default=False, show_default=True, help="Add up activations on joint tokens, too."),
    threads,
    finishing,
)
testing = options(
    click.option("--q", type=Number(0, 1), default=0.05, show_default=True, help="False-discovery rate."),
    click.option("--min-joint", type=click.IntRange(min=1), default=5, show_default=True, help="Smallest joint count."),
    click.option("--min-lift", type=Number(min=0), default=2.0, show_default=True, help="Smallest lift_d."),
    click.option("--min-firings", type=click.IntRange(min=1), default=20, show_default=True, help="Below: dead."),
    click.option("--max-density", type=Number(0, 1), default=0.1, show_default=True, help="Above: dense."),
    click.option("--fdr", type=click.Choice(["bh", "by"]), default="bh", show_default=True,
                 help="Benjamini-Hochberg, or the stricter Benjamini-Yekutieli."),
    click.option("--excludes/--no-excludes", default=True, show_default=True,
                 help="Look for depleted pairs, too: needs counts without --prune."),
    click.option("--backbone", type=click.Choice(["phi", "disparity", "top-k"]), default="phi", show_default=True,
                 help="What keeps an edge; the last two destroy stars, and are not for shapes."),
    click.option("--phi-cut", type=Number(-1, 1), help="Smallest phi on the backbone.  [default: by rule]"),
    click.option("--target-degree", type=Number(min=0), default=15.0, show_default=True,
                 help="The rule: the smallest cut from .1 on that leaves this mean degree."),
    click.option("--alpha", type=Number(0, 1), default=0.05, show_default=True, help="Level of the disparity filter."),
    click.option("--top-k", type=click.IntRange(min=1), default=10, show_default=True,
                 help="Strongest edges of a feature that mutual top-k keeps."),
    click.option("--basis", type=click.Choice(["all", "lexical", "contextual", "mixed"]), default="all",
                 show_default=True, help="Part of the backbone that is kept: communities and shapes are of it alone."),
    click.option("--control", type=click.Choice(["permute", "shift", "none"]), default="permute", show_default=True,
                 help="Null that the test is repeated on."),
)  # fmt: skip
communities = options(
    click.option("--resolution", "resolutions", type=Number(), nargs=3,
                 help="gamma of the coarse, middle and fine level.  [default: by rule, on the resolution profile]"),
    click.option("--signed", is_flag=True, help="Let EXCLUDES edges drive features apart."),
)  # fmt: skip


def _method(beside: str) -> Callable[[Command], Command]:
    """Return the option that names whose clusters are found, and whether the communities are, too."""
    return click.option(
        "--method", type=click.Choice(["leiden", "clarke2024"]), default="leiden", show_default=True,
        help=f"clarke2024: their thresholds, edges, components and scores, as 45-peer, to compare; {beside}.",
    )  # fmt: skip


method = _method("the communities are left as they are")
method_beside = _method("beside the communities, and in the graph; needs --rule rel:0.5 --rule abs:1.5")
shapes = options(
    click.option("--grid-cut", "grid_cuts", type=Number(min=0, min_open=True), multiple=True,
                 default=(0.8, 1.0, 1.25, 1.5), show_default=True,
                 help="Edge cut of the census grid, as a multiple of the backbone's."),
    click.option("--grid/--no-grid", default=True, show_default=True,
                 help="Take the census over a grid of edge cuts and resolutions, too."),
)  # fmt: skip
evidence = options(
    click.option("--strongest", type=click.IntRange(min=0), default=4, show_default=True,
                 help="Strongest firings of each feature, and of each edge, that are kept with their text."),
    click.option("--uniform", type=click.IntRange(min=0), default=4, show_default=True,
                 help="Firings drawn among all of each feature, beside the strongest."),
    click.option("--edges-shown", type=click.IntRange(min=0), default=3, show_default=True,
                 help="Strongest edges of each community that are shown where both features fire."),
    click.option("--window", type=click.IntRange(min=0), default=12, show_default=True,
                 help="Tokens to either side of a firing, within its document."),
)  # fmt: skip
absorbing = options(
    click.option("--min-cosine", type=Number(0, 1), default=0.3, show_default=True,
                 help="Smallest decoder cosine of a feature with the one that it absorbs."),
    click.option("--causal", is_flag=True,
                 help="Run the model on each candidate for absorption, with features taken away: minutes."),
    click.option("--causal-tokens", type=click.IntRange(min=1), default=8, show_default=True,
                 help="Tokens of each feature that --causal runs the model on."),
)  # fmt: skip
intervals = click.option(
    "--intervals/--no-intervals", default=False, show_default=True,
    help="Intervals of the shares of magnitude's classes: found again without each tenth of the documents.",
)  # fmt: skip
naming = options(
    click.option("--name", help="Name of the atlas in the database.  [default: the run directory's]"),
    click.option("--replace", is_flag=True, help="Replace an atlas of this name that was made otherwise."),
    click.option("--bulk", is_flag=True,
                 help="Import into an empty database of the managed server, which is stopped meanwhile: many times as "
                 "fast."),
    click.option("--aura-limits/--no-aura-limits", default=True, show_default=True,
                 help="Of a server of Aura: refuse what is more than Aura Free takes; --no says that it is larger."),
)  # fmt: skip


def show_artifact(artifact: Artifact, *, as_json: bool) -> None:
    """Print where an artifact is and its figures."""
    if as_json:
        click.echo(json.dumps({"artifact": str(artifact.path), "digest": artifact.digest, **artifact.results},
                              ensure_ascii=False))  # fmt: skip
        return
    click.echo(f"{artifact.path}")
    for name, value in artifact.results.items():
        if value is not None and value != []:
            click.echo(f"  {name:<26} {_shown(value)}")


def _shown(value: Any) -> str:
    """Return a figure as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)


def show_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table that fits the terminal, or tab-separated lines where stdout is none."""
    from atlas.queries import display

    if not sys.stdout.isatty():
        click.echo(display.as_lines(columns, rows), nl=False)
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    console.print(display.as_table(columns, rows, width=console.width))
