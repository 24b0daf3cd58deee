"""First letters: which feature is a letter's, which words it misses, and which feature has taken them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_absorption import rows, store, unit

from atlas.absorption import absorb
from atlas.absorption.letters import Words
from atlas.artifacts import Artifact, Run
from atlas.counting.stage import count
from atlas.firings import Firings

N_OF_A, N_OF_B = 14, 14
WORDS = [" a" + chr(98 + k) * 2 for k in range(N_OF_A)] + [" b" + chr(98 + k) * 2 for k in range(N_OF_B)]
TEXTS = [*WORDS, "no", " x1", " é"]
LETTER_A, LETTER_B, TAKER, STRONG, N_FEATURES = 0, 1, 2, 3, 160


def words_run(folder: Path) -> Artifact:
    """Plant two letters, 14 words each, that miss two words each: one of a's was taken, b's none.

    The feature of `a` fires on twelve of its words. Its direction is in the decoder of TAKER, which fires on the
    thirteenth. The fourteenth has a strong feature of its own that points elsewhere; the missing words of b, too.
    """
    rng = np.random.default_rng(0)
    n = 12000
    items = rng.integers(0, len(TEXTS), n)
    a = np.zeros((n, N_FEATURES), np.float32)
    a[items < N_OF_A - 2, LETTER_A] = 1
    b = (items >= N_OF_A) & (items < N_OF_A + N_OF_B - 2)
    a[b, LETTER_B] = 1
    a[items == N_OF_A - 2, TAKER] = 1.5
    for k, item in enumerate((N_OF_A - 1, N_OF_A + N_OF_B - 2, N_OF_A + N_OF_B - 1)):
        a[items == item, STRONG + k] = 3
    a[:, STRONG + 3 :] = rng.random((n, N_FEATURES - STRONG - 3)) < 0.03
    a *= np.exp(0.02 * rng.standard_normal(a.shape))
    basis = np.linalg.qr(rng.standard_normal((N_FEATURES, N_FEATURES)))[0]
    W_dec = basis.copy()
    W_dec[TAKER] = basis[TAKER] + 0.7 * basis[LETTER_A]
    with Run(folder) as run:
        store(run, a, {"W_dec": unit(W_dec), "W_enc": unit(basis)}, texts=TEXTS, items=items)
        count(run)
        from atlas.association.testing import Gates

        return absorb(run, gates=Gates(max_density=0.5))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return words_run(tmp_path_factory.mktemp("letters"))


def test_a_letter_has_its_feature_and_says_what_it_misses(found: Artifact) -> None:
    """Recall and precision over words; two of fourteen are missing from each letter, and one was taken."""
    by_letter = {row["letter"]: row for row in rows(found, "letters")}
    assert set(by_letter) == {"a", "b"}
    assert [by_letter[letter]["index"] for letter in "ab"] == [LETTER_A, LETTER_B]
    assert by_letter["a"]["recall"] == pytest.approx(12 / 14)
    assert by_letter["a"]["precision"] == pytest.approx(1)
    assert [by_letter[letter]["n_missing"] for letter in "ab"] == [2, 2]
    assert [by_letter[letter]["n_absorbed"] for letter in "ab"] == [1, 0]
    assert by_letter["a"]["control_letters"] == 0
    assert by_letter["a"]["control_features"] < 0.02


def test_the_word_that_was_taken_is_named_with_its_taker(found: Artifact) -> None:
    """A feature that is as strong but points elsewhere has taken nothing."""
    words = {row["text"]: row for row in rows(found, "letter_words")}
    assert set(words) == {WORDS[k] for k in (12, 13, 26, 27)}
    taken = words[WORDS[12]]
    assert (taken["absorbing"], taken["absorbed"], taken["letter"]) == (TAKER, True, "a")
    cosine = 0.7 / np.hypot(1, 0.7)
    assert taken["decoder_cosine"] == pytest.approx(cosine, abs=1e-6)
    assert taken["contribution"] == pytest.approx(1.5 * cosine, rel=0.02)
    assert taken["letter_share"] == 0
    assert not any(words[WORDS[k]]["absorbed"] for k in (13, 26, 27))


def test_words_are_ascii_letters_behind_a_space_seen_often_enough(tmp_path: Path) -> None:
    """Neither digits nor accents nor pieces without a space nor rare items count."""
    texts = [" word", "word", " wo1", " é", " rare", " Word"]
    items = np.array([0, 1, 2, 3, 5] * 6 + [4] * 4)
    activations: Any = np.ones((len(items), 2), np.float32)
    with Run(tmp_path) as run:
        store(run, activations, {}, texts=texts, items=items)
        words = Words.of(Firings(run.path / "10-activations"), texts)
    assert words.items.tolist() == [0, 5]
    assert words.letter.tolist() == [22, 22]
    assert words.n_tokens.tolist() == [6, 6]
    assert (words.place >= 0).tolist() == np.isin(items, [0, 5]).tolist()
