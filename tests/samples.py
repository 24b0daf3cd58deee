"""Samples for the tests of association: firings with their counts, in any strata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from worlds import store

from atlas.artifacts import Run
from atlas.association.sample import Sample
from atlas.counting.passes import Settings, count_shards, scheme_of
from atlas.counting.rules import ANY, Rules
from atlas.counting.stage import PAIRS, write_counts
from atlas.counting.strata import stratified_counts
from atlas.firings import Firings


def stored(directory: Path, firing: np.ndarray[Any, Any], document: np.ndarray[Any, Any]) -> Firings:
    """Write dense firings as a run, and return them."""
    with Run(directory) as run:
        return Firings(store(run, firing, document).path)


def sample_of(firings: Firings, labels: np.ndarray[Any, Any]) -> Sample:
    """Count firings, and return them with the strata of `labels`."""
    place = firings.directory / ".counts"
    place.mkdir(exist_ok=True)
    rules = Rules((ANY,), ())
    scheme = scheme_of(firings, rules)
    counted = count_shards(firings, None, place / "scratch", scheme=scheme, rules=rules, settings=Settings())
    write_counts(place, counted, firings, span=2**31, memory=2**30)
    n_strata = int(labels.max()) + 1
    within = stratified_counts(firings.shards(), labels, n_strata=n_strata, d_sae=firings.d_sae)
    sizes = np.bincount(labels, minlength=n_strata)
    arrays = (np.asarray(labels, np.int32), sizes, within.indptr.astype(np.int64), within.indices, within.data)
    return Sample(firings, *arrays, place / PAIRS)
