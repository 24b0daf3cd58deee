"""The backbone of each kind: the significant edges that are strong enough to be a graph worth drawing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atlas.association.null import Floats

FLOOR = 0.1
TARGET_DEGREE = 15.0
RULES = ("phi", "disparity", "top-k")


@dataclass(frozen=True)
class Kept:
    """The backbone of one kind.

    Attributes
    ----------
    edges : bool, shape (n,)
        Whether each edge is on it.
    by : str
        What `kept_by` says of these.
    rule : str
        The rule in words.
    cut : float or None
        Smallest strength on it; None where it is empty and no cut was given.
    """

    edges: npt.NDArray[np.bool_]
    by: str
    rule: str
    cut: float | None


@dataclass(frozen=True)
class Backbone:
    """How the backbone of CO_OCCURS is chosen.

    Attributes
    ----------
    rule : str
        `phi`: a cut of phi, which keeps hubs, cliques and chains alike as long as they are strong; it loses
        what is weak everywhere, and with it features whose every edge is. `disparity`: `disparity_filter`,
        and `top-k`: `mutual_top_k`; what each destroys stands there. Shapes are read from `phi` alone.
    phi_cut : float or None
        Smallest phi; by default that of `choose_phi_cut`.
    target_degree : float
        Mean degree of alive features that the default cut leaves, edges per feature.
    alpha : float
        Level of the disparity filter.
    top_k : int
        Edges that a feature keeps in mutual top-k.
    basis : str
        `all`, or the basis that an edge of the rest must have: communities, shapes and the graph are then those
        of, say, the `contextual` part alone. The rule is applied before it, so that a cut stays the same.
    """

    rule: str = "phi"
    phi_cut: float | None = None
    target_degree: float = TARGET_DEGREE
    alpha: float = 0.05
    top_k: int = 10
    basis: str = "all"

    def of(self, a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], phi: Floats, *, n_alive: int) -> Kept:
        """Return the backbone of the significant edges between `a` and `b`."""
        if self.rule == "phi":
            if self.phi_cut is not None:
                return Kept(phi >= self.phi_cut, "phi", "given", float(self.phi_cut))
            cut = choose_phi_cut(phi, n_features=n_alive, target_degree=self.target_degree)
            return Kept(phi >= cut, "phi", f"mean degree of alive features at most {self.target_degree:g}", cut)
        if self.rule == "disparity":
            edges = disparity_filter(a, b, phi, alpha=self.alpha)
            by, rule = "disparity", f"disparity filter on phi at alpha {self.alpha:g}"
        else:
            edges = mutual_top_k(a, b, phi, k=self.top_k)
            by, rule = "top_k", f"among the {self.top_k} strongest edges of both features"
        return Kept(edges, by, rule, float(phi[edges].min()) if edges.any() else None)


def choose_phi_cut(
    phi: npt.NDArray[np.float64],
    *,
    n_features: int,
    target_degree: float = TARGET_DEGREE,
    floor: float = FLOOR,
) -> float:
    """Return the smallest cut on a grid of .01, not below `floor`, that leaves `target_degree` or less.

    Significance is a floor, not a graph: on real features nearly a tenth of all pairs pass, and
    the graph of those is one ball. The mean degree counts all alive features, those without any
    edge included.

    Parameters
    ----------
    phi
        phi of the significant pairs, shape (n,).
    n_features
        Alive features.
    target_degree
        Mean degree that may not be exceeded, in edges per feature.

    Returns
    -------
    float
        The cut; edges with phi >= cut are kept.
    """
    limit = int(target_degree * n_features / 2)
    grid = np.round(np.arange(floor, 1.0, 0.01), 2)
    kept = len(phi) - np.searchsorted(np.sort(phi), grid, side="left")
    below = np.flatnonzero(kept <= limit)
    return float(grid[below[0]]) if below.size else float(grid[-1])


def strongest(strength: Floats, by: str, *, n_alive: int, target_degree: float) -> Kept:
    """Return the strongest edges that leave a mean degree of `target_degree` or less.

    Edges that tie stay or go together, so that never their order decides: where too many tie at the top,
    none is kept.

    Parameters
    ----------
    strength
        Strength of each significant edge, shape (n,).
    by
        Name of the measure.
    """
    limit = int(target_degree * n_alive / 2)
    edges = np.ones(len(strength), bool)
    if len(strength) > limit:
        first_out = len(strength) - limit - 1
        edges = strength > np.partition(strength, first_out)[first_out]
    rule = f"mean degree of alive features at most {target_degree:g}"
    return Kept(edges, by, rule, float(strength[edges].min()) if edges.any() else None)


def disparity_filter(
    a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], weight: Floats, *, alpha: float
) -> npt.NDArray[np.bool_]:
    """Return which edges stand out among those of one of their ends.

    An edge that has the share s of the weight at a node of degree k has alpha_ij = (1 - s)^(k - 1), the
    chance that one of k shares of a uniformly broken stick is as large; it is kept where that is below
    `alpha` at either end. Edges of no positive weight are left out. A node of degree one alone keeps no edge.

    What it destroys: structures of equal weights. A hub with k equal spokes, or a clique of k + 1, has
    (1 - 1/k)^(k - 1), which is never below 1/e: no such star or clique keeps an edge by itself. It finds
    the uneven edges of a dense graph, and is not for shapes.

    Parameters
    ----------
    a, b, weight
        Ends and weight of each edge, shape (n,).

    References
    ----------
    Serrano, Boguna, Vespignani 2009, doi:10.1073/pnas.0808904106.
    """
    given = np.maximum(weight, 0)
    n = int(max(a.max(), b.max())) + 1 if len(a) else 0
    least = np.ones(len(a))
    degree, total = np.zeros(n), np.zeros(n)
    for end in (a, b):
        degree += np.bincount(end, given > 0, minlength=n)
        total += np.bincount(end, given, minlength=n)
    for end in (a, b):
        share = np.divide(given, total[end], out=np.zeros(len(a)), where=total[end] > 0)
        least = np.minimum(least, np.maximum(1 - share, 0) ** np.maximum(degree[end] - 1, 0))
    kept: npt.NDArray[np.bool_] = least < alpha
    return kept


def mutual_top_k(
    a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], weight: Floats, *, k: int
) -> npt.NDArray[np.bool_]:
    """Return which edges have fewer than `k` stronger ones at both of their ends; ties stay together.

    What it destroys: hubs. No feature keeps more than k edges (but for ties), so that a star of 50
    leaves becomes one of k or less; cliques of more than k + 1 members lose edges, too. It leaves the
    weak features their best edges, and is not for shapes.

    Parameters
    ----------
    a, b, weight
        Ends and weight of each edge, shape (n,).
    """
    kept = np.ones(len(a), bool)
    edge = np.tile(np.arange(len(a)), 2)
    end = np.concatenate([a, b])
    order = np.lexsort((-weight[edge], end))
    first = np.flatnonzero(np.diff(end[order], prepend=-1))
    size = np.diff(first, append=len(order))
    last = weight[edge[order[first + np.minimum(size, k) - 1]]] if len(order) else np.zeros(0)  # the k-th strongest
    kept[edge[order[weight[edge[order]] < np.repeat(last, size)]]] = False
    return kept
