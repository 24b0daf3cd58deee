"""What the claims made of one planted world are worth: hits over trials, by the name of the figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import igraph
import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from atlas.association.null import upper_tail
from atlas.association.testing import Gates, alive_features
from atlas.communities import LEVELS
from atlas.communities.agreement import adjusted_mutual_information
from atlas.communities.leiden import by_size, seeded
from atlas.rings.candidates import jaccard
from atlas.score.latent import Bools, Expected, Floats
from atlas.score.pipeline import Edges, Found
from atlas.score.worlds import World, ancestors

Integers = npt.NDArray[np.int64]
Counts = dict[str, tuple[float, float]]
"""Hits and trials of each figure; a figure that is a mean has its value, over 1."""
MIN_JOINT, MIN_LIFT = 10.0, 2.5
"""What a pair must be expected to show for its absence to count as a miss."""
KEPT = 0.8
"""Jaccard index from which a community is the planted one; share of the leaves that an ego subgraph must hold."""
STAR_LEAVES = range(6, 21)


def judge(world: World, found: Found) -> Counts:
    """Return hits and trials of every figure that the world is for."""
    alive = alive_features(found.firing_count, n_tokens=len(world.sample.items), gates=Gates())
    truth = world.truth
    if not world.expected.dependent.any():
        counts = claim_counts(found.edges, planted=len(found.firing_count))
    else:
        n_tokens = len(world.sample.items)
        counts = edge_counts(world.expected, found.edges, alive=alive, planted=truth.planted)
        counts["edges: power"] = power(world.expected, found, alive=alive, n_tokens=n_tokens)
        counts |= exclusion_counts(world.expected, found.edges.excluded)
        if world.name == "W3":
            own = claim_counts(found.edges, planted=truth.planted)
            counts |= {f"{name}, planted": count for name, count in own.items()}
    if world.name == "W0":
        counts |= basis_counts(found.edges, planted=truth.planted)
    if truth.stars:
        counts |= star_counts(truth.stars, found)
    if truth.cliques:
        counts |= clique_counts(truth.cliques, found)
    if truth.communities:
        counts |= community_counts(truth.communities, found, planted=truth.planted)
    if truth.parents:
        counts |= parent_counts(truth.parents, found.parents, planted=truth.planted)
    return counts | {"pairs significant": (len(found.edges.a), len(alive) * (len(alive) - 1) // 2)}


def edge_counts(expected: Expected, edges: Edges, *, alive: Integers, planted: int) -> Counts:
    """Return precision, realised false-discovery share and recall of the claimed pairs.

    A claim is true where the generator makes the pair dependent. Recall is over the dependent pairs
    of alive features with expected joint count >= 10 and lift_d >= 2.5; once over all, once over those of
    planted features alone, and once with a lift_d that is not corrected for uneven tokens: pairs that
    the correction brings near the gate of 2 are then among them.

    Parameters
    ----------
    alive
        Features that are tested; those that fire hardly ever, or nearly always, are none.
    planted
        Features below it are the world's own.
    """
    true = expected.dependent[edges.a, edges.b]
    wanted = _to_be_found(expected, expected.lift_d, alive)
    claimed = np.zeros_like(wanted)
    claimed[edges.a, edges.b] = True
    return {
        "edges: precision": (int(true.sum()), len(true)),
        "edges: false-discovery rate": (float(1 - true.mean()) if len(true) else 0.0, 1),
        "edges: recall": _share(claimed, wanted),
        "edges: recall, planted": _share(claimed[:planted, :planted], wanted[:planted, :planted]),
        "edges: recall, lift uncorrected": _share(claimed, _to_be_found(expected, expected.lift_d_uncorrected, alive)),
    }


def _to_be_found(expected: Expected, lift_d: Floats, alive: Integers) -> Bools:
    """Return which pairs a < b of alive features are dependent, and strongly enough for recall."""
    tested = np.isin(np.arange(len(lift_d)), alive)
    strong = expected.dependent & (expected.joint >= MIN_JOINT) & (lift_d >= MIN_LIFT)
    return np.triu(strong, 1) & tested[:, None] & tested[None, :]


def power(expected: Expected, found: Found, *, alive: Integers, n_tokens: int) -> tuple[float, int]:
    """Return how many of the pairs that recall is over the test can be expected to find, and their number.

    Given its firings, the rarer feature fires with the other in a binomial number of them, whose mean is
    the expected joint count. The power is the probability that this number passes the gates and has
    p <= q k / m against the generator's E_d, with k pairs claimed of m. Joint firings count as
    independent of each other: for features that fire in bursts the power is too high.
    """
    a, b = np.nonzero(_to_be_found(expected, expected.lift_d, alive))
    n, gates = found.firing_count, Gates()
    p_cut = gates.q * len(found.edges.a) / (len(alive) * (len(alive) - 1) / 2)
    rarer, joint = np.minimum(n[a], n[b]), expected.joint[a, b]
    e = joint / expected.lift_d[a, b]
    variance = e * (1 - n[a] / n_tokens) * (1 - n[b] / n_tokens)
    too_few, enough = np.zeros_like(rarer), rarer + 1
    while (enough - too_few > 1).any():
        middle = (too_few + enough) // 2
        gated = (middle >= gates.min_joint) & (middle >= gates.min_lift * e)
        passes = gated & (upper_tail(middle, e, variance) <= p_cut)
        too_few, enough = np.where(passes, too_few, middle), np.where(passes, middle, enough)
    passing = np.asarray(binom.sf(enough - 1, rarer, np.minimum(joint / rarer, 1)))
    return float(passing.sum()), len(joint)


def _share(claimed: Bools, wanted: Bools) -> tuple[int, int]:
    return int((claimed & wanted).sum()), int(wanted.sum())


def exclusion_counts(expected: Expected, excluded: npt.NDArray[np.int64]) -> Counts:
    """Return precision and realised false-discovery share of the exclusions claimed, where there are any.

    Parameters
    ----------
    excluded
        Pairs, int64, shape (n, 2).
    """
    if not len(excluded):
        return {}
    true = expected.exclusive[excluded[:, 0], excluded[:, 1]]
    return {
        "exclusions: precision": (int(true.sum()), len(true)),
        "exclusions: false-discovery rate": (float(1 - true.mean()), 1),
    }


def claim_counts(edges: Edges, *, planted: int) -> Counts:
    """Return whether any edge or exclusion is claimed between features below `planted`, where none is true."""
    return {
        "any claim": (int((edges.b < planted).any()), 1),
        "any exclusion claimed": (int((edges.excluded < planted).all(1).any()), 1),
    }


def basis_counts(edges: Edges, *, planted: int) -> Counts:
    """Return the share of each basis among the claimed pairs of planted features, all of which are lexical."""
    basis = edges.basis[edges.b < planted]
    return {f"basis: {name}": (int((basis == name).sum()), len(basis))
            for name in ("lexical", "contextual", "mixed", "untested")}  # fmt: skip


def partitions(graph: igraph.Graph, d_sae: int) -> dict[str, Integers]:
    """Return what others would use, on the same backbone: connected components, and modularity by Leiden."""
    index = np.asarray(graph.vs["index"], np.int64)
    found = {}
    for name in ("components", "modularity"):
        membership = np.full(d_sae, -1, np.int64)
        if graph.ecount():
            with seeded(0):
                parts = (
                    graph.connected_components()
                    if name == "components"
                    else graph.community_leiden(objective_function="modularity", weights="phi", n_iterations=-1)
                )
            membership[index] = by_size(np.asarray(parts.membership, np.int64))
        found[name] = membership
    return found


def star_counts(stars: Iterable[tuple[int, tuple[int, ...]]], found: Found) -> Counts:
    """Return how many stars of 6 to 20 leaves are kept whole, or found as ego subgraphs.

    Kept whole: a community on one of the levels has a Jaccard index of .8 or more with hub and leaves; of
    these it is told how many are called hub-spoke. Found: the hub's ego subgraph is hub-spoke, and holds .8
    or more of the leaves.
    """
    some = [star for star in stars if len(star[1]) in STAR_LEAVES]
    others = partitions(found.graph, len(found.firing_count))
    called = [_shapes_of({hub, *leaves}, hub, found) for hub, leaves in some]
    whole = [bool(shapes) for shapes in called]
    ego = [
        found.egos.get(hub) == "hub-spoke" and len(found.leaves(hub) & set(leaves)) >= KEPT * len(leaves)
        for hub, leaves in some
    ]
    either = [one or other for one, other in zip(whole, ego, strict=True)]
    return {
        "stars: kept or found": (sum(either), len(some)),
        "stars: kept as community": (sum(whole), len(some)),
        "stars: of these called hub-spoke": (sum("hub-spoke" in shapes for shapes in called), sum(whole)),
        "stars: found as ego": (sum(ego), len(some)),
        **{f"stars: kept by {name}": (sum(_kept(star, part) for star in some), len(some))
           for name, part in others.items()},
    }  # fmt: skip


def _shapes_of(planted: set[int], member: int, found: Found) -> set[str | None]:
    """Return the classes of the communities, on any level, that are the planted set."""
    levels = [level for level in LEVELS if _overlap(planted, found.membership[level], member) >= KEPT]
    return {found.shapes.get((level, int(found.membership[level][member]))) for level in levels}


def _kept(star: tuple[int, tuple[int, ...]], membership: Integers) -> bool:
    hub, leaves = star
    return _overlap({hub, *leaves}, membership, hub) >= KEPT


def _overlap(planted: set[int], membership: Integers, member: int) -> float:
    """Return the Jaccard index of a planted set and the community of one of its members."""
    if membership[member] < 0:
        return 0.0
    return jaccard(planted, np.flatnonzero(membership == membership[member]).tolist())


def clique_counts(cliques: Iterable[tuple[int, ...]], found: Found) -> Counts:
    """Return how many cliques of four or more are one fully connected community, and egos called hub-spoke in them."""
    some = [clique for clique in cliques if len(clique) >= 4]
    named = sum("fully connected" in _shapes_of(set(clique), clique[0], found) for clique in some)
    egos = [found.egos[member] for clique in some for member in clique if member in found.egos]
    return {
        "cliques: fully connected": (named, len(some)),
        "cliques: egos called hub-spoke": (egos.count("hub-spoke"), len(egos)),
    }


def community_counts(communities: Sequence[tuple[int, ...]], found: Found, *, planted: int) -> Counts:
    """Return the adjusted mutual information of each partition with the planted communities.

    Over members of planted communities; those without a community are singletons. Beside it the share
    of background among the members of the communities that hold a planted member.
    """
    members = np.concatenate([np.asarray(community) for community in communities])
    truth = np.repeat(np.arange(len(communities)), [len(community) for community in communities])
    all_partitions = {**{level: found.membership[level] for level in LEVELS},
                      **partitions(found.graph, len(found.firing_count))}  # fmt: skip
    counts: Counts = {}
    for name, membership in all_partitions.items():
        counts[f"AMI: {name}"] = (adjusted_mutual_information(truth, singletons(membership[members])), 1)
    middle = found.membership["middle"]
    holding = np.isin(middle, np.setdiff1d(middle[members], [-1]))
    background = int(holding[planted:].sum())
    return counts | {"AMI: background in them": (background, int(holding.sum()))}


def singletons(membership: Integers) -> Integers:
    """Return the labels with each -1 replaced by a label of its own."""
    labels = membership.copy()
    alone = np.flatnonzero(labels < 0)
    labels[alone] = membership.max(initial=-1) + 1 + np.arange(len(alone))
    return labels


def parent_counts(
    parents: frozenset[tuple[int, int]], claims: Iterable[tuple[int, int, bool]], *, planted: int
) -> Counts:
    """Return precision and recall of direct parents and of ancestors, over planted features.

    Direct claims are held against the forest's edges, all claims against their closure.
    """
    own = [(parent, child, direct) for parent, child, direct in claims if max(parent, child) < planted]
    direct = {(parent, child) for parent, child, is_direct in own if is_direct}
    every = {(parent, child) for parent, child, _ in own}
    closure = ancestors(parents)
    return {
        "parents, direct: precision": (len(direct & parents), len(direct)),
        "parents, direct: recall": (len(direct & parents), len(parents)),
        "ancestors: precision": (len(every & closure), len(every)),
        "ancestors: recall": (len(every & closure), len(closure)),
    }
