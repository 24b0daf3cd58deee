"""Which candidates hold up within documents and against chance: parents of features, and equal features."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
from scipy.special import betainc

from atlas.association.fdr import benjamini_hochberg
from atlas.hierarchy.candidates import (
    Candidates,
    Floats,
    Limits,
    PairBlock,
    Z,
    find_candidates,
    wilson_lower_bound,
)
from atlas.hierarchy.fired import Fired, seek


@dataclass(frozen=True)
class Relations:
    """Pairs that hold up, in the order of (a, b), and how many were tested.

    Attributes
    ----------
    commoner, rarer : int32, shape (n,)
        Parent and child; of two that are the same, the one that fires on more tokens first.
    joint_count, place : int64, shape (n,)
        Tokens on which both fire, and the place of the pair in the counts.
    conditional, lower_bound, odds_ratio, p, q : float64, shape (n,)
        P(parent given child) with its Wilson lower bound, the odds ratio within strata, and the test of
        P <= .5. Of two that are the same: the smaller of the two conditionals.
    n_candidates : int
        Pairs that were tested.
    """

    commoner: npt.NDArray[np.int32]
    rarer: npt.NDArray[np.int32]
    joint_count: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]
    conditional: Floats
    lower_bound: Floats
    odds_ratio: Floats
    p: Floats
    q: Floats
    n_candidates: int


def find_parents(
    blocks: Iterable[PairBlock],
    firing_count: npt.NDArray[np.int64],
    alive: npt.NDArray[np.bool_],
    fired: Callable[[npt.NDArray[np.bool_]], Fired],
    *,
    sizes: npt.NDArray[np.int64],
    limits: Limits | None = None,
) -> tuple[Relations, Relations, Fired]:
    """Return parents with their children, features that are the same, and the tokens of all their candidates.

    Candidates are those of `find_candidates`. Of them remain the pairs with a Mantel-Haenszel odds ratio of 3
    or more within strata whose lower bound is 1 or more (`odds_ratios`), and with q <= .05 in the exact test of
    P <= .5, Benjamini-Hochberg over the candidates of the kind. Every remaining pair is a claim about these two
    features: that a feature is an ancestor through others is not claimed of pairs that are not among them.

    q is no more than the test: candidates were chosen by the same conditional, which leaves little for it to
    refuse. What guards against chance are the two lower bounds.

    Parent and child can form no cycle: along every pair the firing count falls (n_p >= 1.1 n_c > n_c, since
    n_c >= n_pc >= 5), and no way that falls all along ends where it began.

    Parameters
    ----------
    blocks
        The counted pairs, each once, in any blocks; one block is held at a time.
    firing_count
        Firings of each feature under the rule, int64, shape (d,).
    alive
        Neither dead nor dense, bool, shape (d,).
    fired
        Gives the tokens on which chosen features (bool, shape (d,)) fire under the rule.
    sizes
        Tokens of each stratum in corpus order, int64, shape (n_strata,).
    """
    limits = limits or Limits()
    found = find_candidates(blocks, firing_count, alive, limits=limits)
    chosen = np.zeros(len(firing_count), bool)
    for pairs in found:
        chosen[pairs.commoner] = chosen[pairs.rarer] = True
    tokens = fired(chosen)
    parents, equals = found
    return (
        _tested(parents, firing_count[parents.rarer], tokens, sizes, limits),
        _tested(equals, firing_count[equals.commoner], tokens, sizes, limits),
        tokens,
    )


def _tested(
    pairs: Candidates, trials: npt.NDArray[np.int64], fired: Fired, sizes: npt.NDArray[np.int64], limits: Limits
) -> Relations:
    """Return the candidates that pass; `trials` are the firings that the conditional is a share of."""
    odds, odds_lower_bound = odds_ratios(pairs, fired, sizes)
    # P(X >= c) of n tokens that are both with probability .5, as the incomplete beta function
    p = np.asarray(betainc(pairs.joint_count, trials - pairs.joint_count + 1, 0.5), np.float64)
    q = benjamini_hochberg(p)
    keep = (odds >= limits.min_odds_ratio) & (odds_lower_bound >= limits.min_odds_lower_bound) & (q <= limits.q)
    joint = pairs.joint_count[keep]
    return Relations(
        pairs.commoner[keep],
        pairs.rarer[keep],
        joint,
        pairs.place[keep],
        joint / trials[keep],
        wilson_lower_bound(joint, trials[keep]),
        odds[keep],
        p[keep],
        q[keep],
        len(keep),
    )


def odds_ratios(pairs: Candidates, fired: Fired, sizes: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the Mantel-Haenszel odds ratio of each pair over strata, half a firing added, and its lower bound.

    With T_d tokens, n_p and n_c firings and a joint ones in stratum d, R_d = a (T_d - n_p - n_c + a) / T_d and
    S_d = (n_c - a) (n_p - a) / T_d, it is (sum_d R_d + (1 - s) / 2) / (sum_d S_d + s / 2), where
    s = sum_d n_c (n_p / T_d) / sum_d n_c is the share of tokens that the parent covers where the child fires.
    It is how much likelier the parent fires where the child does than elsewhere in the same document, in odds;
    a parent that covers a third of those documents can have it at 3 and more where a lift of 3 cannot be.

    The two added terms are half a firing of the child with and half a one without the parent, in a document
    of the mean kind. Without them a child that is always inside its parent divides by zero, and five firings in
    documents that the parent fills nine tenths of look like an endless ratio; so they are worth
    11 (1 - s) / s. Many firings leave nothing of the correction. Where the parent covers every token of those
    documents (or they have one token each) the ratio is 0: nothing can be told.

    The lower bound is that of the logarithm, 1.96 standard deviations below (Robins, Breslow, Greenland; the
    halves as one stratum more). At n firings of the child, b of them without the parent, the deviation is about
    sqrt(1 / (n - b + .5) + 1 / (b + .5)): a feature of a subject that covers six sevenths of its documents has
    ratios of 3 and more with rare children by chance, and a bound below 1. Runs of firing would widen it.

    Cost is the child's firings times the logarithm of the steps between them in the parent's.

    Returns
    -------
    ratio, lower bound : float64, shape (n,), 0 or more, always finite
        Both 0 where the parent fires in none of the child's strata, too.

    References
    ----------
    Mantel, Haenszel 1959, doi:10.1093/jnci/22.4.719. Robins, Breslow, Greenland 1986, doi:10.2307/2531052.
    Haldane 1956, doi:10.1111/j.1469-1809.1955.tb01285.x (the added halves).
    """
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    ratio, variance = _odds_ratios(fired.indptr, fired.tokens, starts, pairs.commoner, pairs.rarer)
    return ratio, ratio * np.exp(-Z * np.sqrt(variance))


@numba.njit(cache=True, parallel=True, nogil=True)
def _odds_ratios(indptr, tokens, starts, parents, children):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return each ratio and the variance of its logarithm.

    Goes through the child's tokens a stratum at a time, and looks the parent's up from where they were.
    """
    ratio, variance = np.zeros(len(parents)), np.zeros(len(parents))
    for k in numba.prange(len(parents)):
        p, p_end = indptr[parents[k]], indptr[parents[k] + 1]
        c, c_end = indptr[children[k]], indptr[children[k] + 1]
        n = c_end - c
        above, below, covered = 0.0, 0.0, 0.0  # sums of R, of S, and of n_c n_p / T
        same_above, mixed, other_below = 0.0, 0.0, 0.0  # of P R, P S + Q R and Q S, P = (a + d) / T, Q = 1 - P
        d = np.int64(0)
        while c < c_end:
            d = seek(starts, d, len(starts), np.int64(tokens[c]) + 1) - 1
            end = starts[d + 1]
            p = seek(tokens, p, p_end, starts[d])
            before = p
            n_c, a = 0, 0
            while c < c_end and tokens[c] < end:
                p = seek(tokens, p, p_end, np.int64(tokens[c]))
                a += p < p_end and tokens[p] == tokens[c]
                n_c += 1
                c += 1
            p = seek(tokens, p, p_end, end)
            n_p, size = p - before, np.float64(end - starts[d])
            neither = size - n_p - n_c + a
            r, s = a * neither / size, (n_c - a) * (n_p - a) / size
            agree = (a + neither) / size
            above += r
            below += s
            covered += n_c * n_p / size
            same_above += agree * r
            mixed += agree * s + (1 - agree) * r
            other_below += (1 - agree) * s
        share = covered / max(n, 1)
        above += (1 - share) / 2
        below += share / 2
        if above > 0 and below > 0:
            ratio[k] = above / below
            same_above += (1 - share) ** 2 / 2
            mixed += share * (1 - share)
            other_below += share**2 / 2
            variance[k] = (same_above / above**2 + mixed / (above * below) + other_below / below**2) / 2
    return ratio, variance
