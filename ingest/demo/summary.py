"""What the demo found: read from the artifacts, and asked of the database."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from atlas.errors import DatabaseError
from atlas.ingest.server.browser import browser_address
from atlas.queries.library import find
from atlas.queries.run import run as ask

if TYPE_CHECKING:
    import neo4j

    from atlas.artifacts import Run
    from atlas.ingest.server.home import ServerInfo

STAGES = (
    "10-activations", "20-counts", "30-edges", "40-clusters", "50-structure", "51-contexts", "52-rings",
    "53-absorption", "54-magnitude", "55-replication", "56-behaviour", "57-census",
)  # fmt: skip
BEST = 3
MOST_LEAVES = 16
MOST_ROWS = 5000
DISTINCT = 0.7


@dataclass(frozen=True)
class Summary:
    """What the demo prints.

    Attributes
    ----------
    figures : dict
        Model, text and counts of the atlas, as on its `:Atlas` node and in the manifests.
    census : dict
        Subgraphs by (`real` or `rewired`), by level or `ego`, by class; `real` is the database's.
    sorts : list of dict
        Rows of the census of features: facet, value, count, share, low, high; without its cells.
    manifolds : list of dict
        Rings, arcs, lines and helices that sets of features hold, with what the rule and its control say.
    best : dict
        The best few of each sort, with the captions of hub and leaves or of members.
    stages : dict
        Seconds and peak memory (MB) of each stage when it was made.
    browser, password_file, home
        Where to look, where its password is, and the server's folder.
    """

    figures: dict[str, Any]
    census: dict[str, dict[str, dict[str, int]]]
    sorts: list[dict[str, Any]]
    manifolds: list[dict[str, Any]]
    best: dict[str, list[dict[str, Any]]]
    stages: dict[str, dict[str, float]]
    browser: str
    password_file: str
    home: str

    def as_json(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        return asdict(self)


def summarise(run: Run, driver: neo4j.Driver, *, name: str, server: ServerInfo, database: str | None) -> Summary:
    """Return the summary of a loaded and classified atlas."""

    def rows(query: str, **parameters: Any) -> list[dict[str, Any]]:
        answer = ask(driver, find(query), {"atlas": name, **parameters}, database=database)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    best = _best(rows)
    drawn = best["hub-spoke egos"] or best["hub-spoke or star-like"]
    return Summary(
        figures=_figures(run, name),
        census={"real": _by_subgraph(rows("shape_census")), "rewired": _rewired(run)},
        sorts=[row for row in run.artifact("57-census").table("feature_census").to_pylist() if row["facet"] != "all"],
        manifolds=_manifolds(run),
        best=best,
        stages={stage: _cost(run, stage) for stage in STAGES},
        browser=_address(server, name, drawn[0] if drawn else None),
        password_file=str(server.password_file),
        home=str(server.home),
    )


def _figures(run: Run, name: str) -> dict[str, Any]:
    activations = run.artifact("10-activations").results
    edges = run.artifact("30-edges")
    kinds = Counter(run.artifact("50-structure").table("features")["class"].to_pylist())
    asked = ("q", "min_joint", "min_lift")
    return {
        "name": name,
        **{key: activations[key] for key in
           ("model", "sae_id", "architecture", "hook_name", "d_sae", "corpus", "n_tokens", "n_documents", "mean_l0")},
        **{f"n_{kind}": n for kind, n in kinds.items()},
        **edges.results,
        **{key: edges.parameters[key] for key in asked},
        "n_clusters": run.artifact("40-clusters").results["n_clusters"],
        **{key: run.artifact("40-clusters").results[key] for key in ("resolutions", "level_stability", "hierarchy")},
        **{key: run.artifact("55-replication").results[key] for key in ("half_documents", "replicated")},
        "clustering": run.artifact("50-structure").results["clustering"],
        "ego_basis": run.artifact("50-structure").results["ego_basis"],
    }  # fmt: skip


def _manifolds(run: Run) -> list[dict[str, Any]]:
    """Return the figures that are claimed, each with how many the same search claims on shuffled firings."""
    rings = run.artifact("52-rings")
    named = ("undetermined", "simplex")  # the one is no claim, the other is not tested
    rows = [row for row in rings.table("manifolds").to_pylist() if row["geometry"] not in named]
    return [row | {"shuffled_claims": rings.results["shuffled_claims"]} for row in rows]


def _by_subgraph(rows: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["subgraph"], {})[row["shape"]] = row["count"]
    return found


def _rewired(run: Run) -> dict[str, dict[str, int]]:
    census = run.artifact("50-structure").table("census").to_pylist()
    return _by_subgraph([row for row in census if row["graph"] == "rewired"])


def _best(rows: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the few of each sort that are easiest to read: small, and with distinct captions.

    Of those the stars come first that hold within vocabulary items, too, and whose leaves have the hub
    most often, and the strongest cliques.
    Families of one token (twenty features for " the") are real, but say little at a glance.
    """
    egos = [row for row in rows("hub_spoke_egos", limit=MOST_ROWS) if _tells(row["leaves"])]
    egos.sort(key=lambda row: (row["basis"] != "contextual", -row["hub_given_leaf"], row["feature"]))
    stars = [row for row in rows("hub_spoke_clusters", star_like=True, limit=MOST_ROWS) if _tells(row["leaves"])]
    stars.sort(key=lambda row: (row["shape"], -row["centralization"], -row["size"], row["level"], row["cluster"]))
    cliques = [row for row in rows("fully_connected_clusters", limit=MOST_ROWS) if _tells(row["members"])]
    cliques.sort(key=lambda row: (-row["strength"], row["level"], row["cluster"]))
    roots = [row for row in rows("roots", limit=MOST_ROWS) if _tells(row["children"])]
    roots.sort(key=lambda row: (row["children_kind"] == "loose", -row["children_coverage"], row["root"]))
    return {
        "parents": roots[:BEST],
        "hub-spoke egos": egos[:BEST],
        "hub-spoke or star-like": _distinct(stars, lambda row: row["hub"])[:BEST],
        "fully connected": _distinct(cliques, lambda row: tuple(row["members"]))[:BEST],
    }


def _tells(names: list[str]) -> bool:
    """Return whether captions say something at a glance: few, mostly different, mostly words."""
    first = [name.split(" · ")[0].casefold() for name in names]
    words = {word for word in first if word.isalpha() and len(word) > 2}
    return len(names) <= MOST_LEAVES and len(words) >= DISTINCT * len(names)


def _distinct(rows: list[dict[str, Any]], key: Any) -> list[dict[str, Any]]:
    """Return the rows without those that an earlier one repeats on another level."""
    seen: set[Any] = set()
    return [row for row in rows if not (key(row) in seen or seen.add(key(row)))]  # type: ignore[func-returns-value]


def _address(server: ServerInfo, name: str, drawn: dict[str, Any] | None) -> str:
    """Return Browser's address with the query of the first star filled in."""
    if drawn is None:
        cypher = f"MATCH p = (:Feature {{atlas: '{name}'}})-[:CO_OCCURS]-() RETURN p LIMIT 100"
    else:
        hub = drawn.get("feature", drawn.get("hub"))
        cypher = (
            f"MATCH p = (h:Feature {{uid: '{name}:{hub}'}})-[:CO_OCCURS]-(leaf:Feature) "
            "WHERE leaf.firing_count < h.firing_count RETURN p"
        )
    if server.bolt_port is None or server.http_port is None:
        raise DatabaseError("the managed server stopped while the demo was running", "run `atlas demo` again")
    return browser_address(server.bolt_port, server.http_port, cypher)


def _cost(run: Run, stage: str) -> dict[str, float]:
    made = run.artifact(stage).made
    return {"seconds": made["wall_seconds"], "peak_memory_mib": made["peak_memory_mib"]}
