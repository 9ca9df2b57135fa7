import subprocess
import sys
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import chisquare

from skcap.priors.masks import apply_mask, draw_masks
from skcap.utils.seeds import content_seed


def random_part(n_words, n_masks, seed=0):
    return draw_masks(n_words, n_masks, seed)[n_words:]


@pytest.mark.parametrize("n_words", [2, 3, 4, 9])
def test_first_come_the_masks_that_remove_one_word_each(n_words):
    masks = draw_masks(n_words, 5, seed=3)
    assert masks.shape == (n_words + 5, n_words)
    assert masks.dtype == bool
    np.testing.assert_array_equal(masks[:n_words], ~np.eye(n_words, dtype=bool))
    np.testing.assert_array_equal(masks[:n_words], draw_masks(n_words, 0, seed=8))


@pytest.mark.parametrize("n_words", [4, 5, 8, 11])
def test_number_of_removed_words_is_uniform_from_2_to_half_and_one(n_words):
    removed = Counter((~random_part(n_words, 20_000)).sum(axis=1).tolist())
    assert sorted(removed) == list(range(2, n_words // 2 + 2))
    assert chisquare(list(removed.values())).pvalue > 0.001


def test_positions_are_uniform_without_replacement():
    masks = random_part(6, 30_000)
    for size in (2, 3, 4):
        of_size = masks[(~masks).sum(axis=1) == size]
        seen = Counter(tuple(np.flatnonzero(~mask)) for mask in of_size)
        subsets = list(combinations(range(6), size))
        assert set(seen) == set(subsets)
        assert chisquare([seen[subset] for subset in subsets]).pvalue > 0.001


def test_texts_too_short_for_random_masks():
    assert draw_masks(0, 32, seed=0).shape == (0, 0)
    np.testing.assert_array_equal(draw_masks(1, 32, seed=0), [[True], [False]])
    # Two words: besides the masks that remove one, only the empty text.
    np.testing.assert_array_equal(
        draw_masks(2, 2, seed=0), [[False, True], [True, False], [False, False], [False, False]]
    )
    # Three words: always two of them.
    assert set((~random_part(3, 200)).sum(axis=1)) == {2}


def test_masks_follow_from_the_seed():
    np.testing.assert_array_equal(draw_masks(9, 8, 1), draw_masks(9, 8, 1))
    assert (draw_masks(9, 8, 1) != draw_masks(9, 8, 2)).any()


def test_content_seed_is_the_same_everywhere():
    seed = content_seed(0, "where is my card", "card arrival")
    assert 0 <= seed < 2**64
    script = (
        "from skcap.priors.masks import draw_masks\n"
        "from skcap.utils.seeds import content_seed\n"
        "s = content_seed(0, 'where is my card', 'card arrival')\n"
        "print(s, draw_masks(4, 8, s).astype(int).ravel().tolist())"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == f"{seed} {draw_masks(4, 8, seed).astype(int).ravel().tolist()}"


def test_content_seed_tells_requests_apart():
    requests = [
        (0, "ab", "c"),
        (0, "a", "bc"),
        (0, "abc"),
        (0, "abc", ""),
        (1, "ab", "c"),
        (-1, "ab", "c"),
        (0, "c", "ab"),
        (0, "é", "\ud800"),  # a lone surrogate has no UTF-8, but a seed
    ]
    assert len({content_seed(*request) for request in requests}) == len(requests)


def test_apply_mask_goes_by_position():
    words = ["no", "card", "no", "{x}"]
    assert apply_mask(words, np.array([True, False, False, True])) == "no {x}"
    assert apply_mask(words, np.array([False, False, True, False])) == "no"
    assert apply_mask(words, np.zeros(4, bool)) == ""
    with pytest.raises(ValueError, match="zip"):
        apply_mask(words, np.ones(3, bool))
