"""The demo's last page: the summary as people read it."""

from __future__ import annotations

import shlex
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from atlas.ingest.demo.summary import Summary
from atlas.ingest.program import program
from atlas.ingest.server.home import default_home

SUBGRAPHS = ("coarse", "middle", "fine", "ego")
SHAPES = ("hub-spoke", "star-like", "joint", "fully connected", "triangle", "pair", "mixed", "undetermined")
FACETS = {"magnitude": "magnitude", "geometry_sort": "geometry", "role": "role", "basis_sort": "basis"}
SHOWN = 12
CONTROLS = {"permute": "permuted", "shift": "shifted in circles"}
BASIS = {
    "lexical": "explained by the token alone",
    "contextual": "beyond the token",
    "mixed": "between",
    "untested": "on rare tokens",
}


def show(summary: Summary) -> None:
    """Print the summary on stdout."""
    console = Console(highlight=False, soft_wrap=True)
    figures = summary.figures
    console.print()
    _heading(console, f"The atlas “{figures['name']}”")
    for name, text in (*_made(figures), *_found(figures)):
        console.print(Text.assemble((f"  {name:<13}", "bold"), text))
    console.print()
    _heading(
        console,
        "Shapes, as Cypher classified them (in brackets: the same graph rewired at random, degrees kept)",
    )
    console.print(_census(summary))
    console.print(
        Text(
            "  hub-spoke: leaves exclusive under the hub, tested; star-like: a star by topology alone, which chance\n"
            "  makes as often; ego: a feature with its rarer neighbours; joint: leaves that fire together under it."
            f"{_basis_line(figures)}",
            style="dim",
        )
    )
    console.print()
    _heading(console, "The alive features by sort (in brackets: 95 % of what other communities would give)")
    for name, text in _sorts(summary.sorts):
        console.print(Text.assemble((f"  {name:<13}", "bold"), text))
    for title, rows, row_of in (
        ("Features whose rarer neighbours exclude each other under them", summary.best["hub-spoke egos"], _ego),
        _stars(summary),
        ("Fully connected communities", summary.best["fully connected"], _clique),
        ("Parents that their children explain", summary.best["parents"], _parent),
        ("Figures that sets of features hold, found without a list of words", summary.manifolds, _manifold),
    ):
        console.print()
        _heading(console, title)
        for row in rows:
            console.print(row_of(row))
        if not rows:
            console.print("  none that is easy to read")
    _next(console, summary)


def _basis_line(figures: dict[str, Any]) -> str:
    """Return how many egos hold within vocabulary items: words exclude each other for free."""
    said = [
        f"{counts['contextual']:,} of the {sum(counts.values()):,} {shape} egos"
        for shape, counts in sorted(figures["ego_basis"].items())
    ]
    if not said:
        return ""
    return f"\n  Within one vocabulary item, too (words exclude each other for free): {', '.join(said)}."


def _stars(summary: Summary) -> tuple[str, list[dict[str, Any]], Any]:
    """Return what to show of the stars: where no leaves are exclusive, that is said."""
    found = sum(level.get("hub-spoke", 0) for name, level in summary.census["real"].items() if name != "ego")
    title = "Hub-spoke communities"
    if not found:
        title = "Star-like communities (none has enough exclusive leaves for hub-spoke)"
    return title, summary.best["hub-spoke or star-like"], _star


def _heading(console: Console, text: str) -> None:
    console.print(Text(text, style="bold"))


def _made(figures: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("model", f"{figures['model']}, {figures['hook_name']}"),
        ("SAE", f"the demo's own ({figures['architecture']}), {figures['d_sae']:,} features"),
        ("text", f"{figures['corpus']}: {figures['n_tokens']:,} tokens of {figures['n_documents']:,} documents, "
                 f"{figures['mean_l0']:.1f} features on each"),
        ("features", f"{figures.get('n_alive', 0):,} alive, {figures.get('n_dead', 0):,} dead, "
                     f"{figures.get('n_dense', 0):,} dense"),
    ]  # fmt: skip


def _found(figures: dict[str, Any]) -> list[tuple[str, str]]:
    control = "not run"
    if figures["control"] != "none":
        control = (
            f"a copy {CONTROLS[figures['control']]} within documents keeps {figures['control_significant']:,} "
            "(expected 0); "
            f"{figures['control_passing_real_cut']:,} of its pairs pass the real cut: "
            f"empirical false-discovery share {figures['empirical_fdr']:.2g}"
        )
    kept, kinds, kin = figures["n_edges"], figures["kinds"], figures["hierarchy"]
    basis = ", ".join(f"{100 * n / kept:.0f} % {BASIS[name]}" for name, n in figures["basis"].items() if kept)
    levels = ", ".join(
        f"{figures['n_clusters'][level]:,} {level} (γ {gamma:.2g}, seeds agree {stability:.2f})"
        for level, gamma, stability in zip(
            ("coarse", "middle", "fine"), figures["resolutions"], figures["level_stability"], strict=True)
    )  # fmt: skip
    return [
        ("pairs", f"{figures['n_pairs_seen']:,} seen together, of {figures['n_pairs_tested']:,} tested"),
        ("significant", f"{figures['n_significant']:,} within their documents (q {figures['q']:g}, "
                        f"{figures['min_joint']} joint firings, lift {figures['min_lift']:g} or more)"),
        ("control", control),
        ("backbone", f"{kept:,} edges with φ ≥ {figures['phi_cut']:g} ({figures['phi_cut_rule']})"),
        ("", basis),
        ("beside them", f"{kinds['EXCLUDES']['significant']:,} pairs exclude each other within documents, "
                        f"{kinds['CO_TOPIC']['significant']:,} share a subject and no more"),
        ("communities", levels),
        ("hierarchy", f"{kin['n_direct']:,} direct pairs of parent and child (firings of {kin['rule']}), "
                      f"{kin['n_roots']:,} roots, {kin['max_depth']} generations at most; "
                      f"{kin['n_same_as']:,} pairs are the same"),
        ("halves", _halves(figures["replicated"], figures["half_documents"])),
        ("clustering", f"{figures['clustering']['real']:.2f} mean local clustering "
                       f"({figures['clustering']['rewired']:.2f} rewired)"),
    ]  # fmt: skip


def _halves(shares: dict[str, float], documents: list[int]) -> str:
    """Return what holds again in both halves of the documents, of what both could show."""
    named = (
        ("edges", "edges, CO_OCCURS"), ("exclusions", "edges, EXCLUDES"), ("parents", "parents, direct"),
        ("fine memberships", "members, fine"), ("hub-spoke egos", "classes of egos, hub-spoke"),
    )  # fmt: skip
    said = [f"{100 * shares[key]:.3g} % of {name}" for name, key in named if key in shares]
    return f"{', '.join(said)} hold again in each ({documents[0]} and {documents[1]} documents)" if said else "none"


def _census(summary: Summary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True)
    table.add_column("class")
    for subgraph in SUBGRAPHS:
        table.add_column("egos" if subgraph == "ego" else subgraph, justify="right")
    real, rewired = summary.census["real"], summary.census["rewired"]
    for shape in SHAPES:
        if any(shape in real.get(subgraph, {}) or shape in rewired.get(subgraph, {}) for subgraph in SUBGRAPHS):
            cells = [_cell(real.get(each, {}).get(shape), rewired.get(each, {}).get(shape)) for each in SUBGRAPHS]
            table.add_row(shape, *cells)
    return table


def _sorts(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return a line for each facet of the census: its classes, the commonest first."""
    lines = []
    for facet, name in FACETS.items():
        classes = sorted((row for row in rows if row["facet"] == facet), key=lambda row: (-row["count"], row["value"]))
        said = (f"{row['value']} {100 * row['share']:.2g} % ({100 * row['low']:.2g} to {100 * row['high']:.2g})"
                for row in classes)  # fmt: skip
        lines.append((name, ", ".join(said)))
    return lines


def _cell(real: int | None, rewired: int | None) -> str:
    return (
        ""
        if real is None and rewired is None
        else f"{real or 0:,} [{rewired or 0:,}]".replace("[", "(").replace("]", ")")
    )


def _ego(row: dict[str, Any]) -> Text:
    return _line(row["name"], row["leaves"], f"{row['leaf_association']:+.1f} bits between leaves, "
                 f"P(hub | leaf) {row['hub_given_leaf']:.2f}, {row['basis']}, feature {row['feature']}")  # fmt: skip


def _star(row: dict[str, Any]) -> Text:
    return _line(row["hub_name"], row["leaves"], f"{row['shape']}, {row['depleted_pairs']} of {row['testable_pairs']} "
                 f"testable leaf pairs exclusive, {row['level']} {row['cluster']}")  # fmt: skip


def _parent(row: dict[str, Any]) -> Text:
    return _line(row["name"], row["children"], f"{row['children_kind']}, {100 * row['children_coverage']:.0f} % of its "
                 f"firings explained, {100 * row['children_exclusivity']:.0f} % of these by one child, feature "
                 f"{row['root']}")  # fmt: skip


def _clique(row: dict[str, Any]) -> Text:
    return _line(None, row["members"], f"density {row['density']:.2f}, mean φ {row['strength']:.2f}, "
                 f"{row['level']} {row['cluster']}")  # fmt: skip


def _manifold(row: dict[str, Any]) -> Text:
    order = f", in the order of the {row['cyclic_list']} p {row['order_p']:.1g}" if row["cyclic_list"] else ""
    return _line(row["geometry"], row["order"], f"{row['size']} features, p {row['p']:.2g}, q {row['q']:.2g} against "
                 f"random points of the same covariance{order}; on shuffled firings {row['shuffled_claims']} are "
                 "claimed")  # fmt: skip


def _line(hub: str | None, others: list[str], evidence: str) -> Text:
    start = Text.assemble("  ", (hub, "bold"), " ← ") if hub else Text("  ")
    shown = " | ".join(others[:SHOWN]) + (f" and {len(others) - SHOWN} more" if len(others) > SHOWN else "")
    return Text.assemble(start, shown, (f"\n      {evidence}", "dim"))


def _word(best: list[dict[str, Any]]) -> str:
    """Return a token that some feature fires on: the first word among the captions of the best."""
    captions = [part for row in best for part in row.get("name", "").split(" · ")]
    return next((part for part in captions if part.isascii() and part.isalpha()), "the")


def _next(console: Console, summary: Summary) -> None:
    atlas, name = program(), summary.figures["name"]
    best = summary.best["hub-spoke egos"] or [{"feature": 0}]
    home = "" if summary.home == str(default_home()) else f" --home {shlex.quote(summary.home)}"
    console.print()
    _heading(console, "Neo4j Browser, with a star filled in (press Ctrl+Enter to draw it)")
    click.echo(f"  {summary.browser}")
    console.print(f"  user neo4j; the password is in {summary.password_file}", markup=False)
    console.print()
    _heading(console, "Three commands to try next")
    for command in (
        f"{atlas} query run neighbours -p atlas={name} -p feature={best[0]['feature']}{home}",
        f"{atlas} query run features_by_token -p atlas={name} -p token={_word(best)}{home}",
        f"{atlas} query list",
    ):
        console.print(f"  {command}", markup=False)
    console.print()
    console.print(f"The database stays up. Stop it with: {atlas} db down{home}", markup=False)
