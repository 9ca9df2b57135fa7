"""Drawing words by their scores, finding their tokens, and merging texts."""

import pytest
import torch
from token_batches import CLS, NAN, SEP, make_batch

from skcap.guidance.tokens import choose_words, merge_texts, tokens_of_words


def test_words_of_high_score_come_first():
    torch.manual_seed(0)
    prior = torch.tensor([[0.0, 1.0, 0.9, -1.0, NAN]]).repeat(2000, 1)
    share = choose_words(prior, 1).float().mean(dim=0)
    assert share.sum() == pytest.approx(1)
    assert share[1] > share[2] > 0.2 > 0.05 > share[0] > share[3]
    assert share[4] == 0


def test_words_without_scores_are_never_chosen():
    chosen = choose_words(torch.tensor([[NAN, 0.5], [NAN, NAN], [0.0, 0.0]]), 5)
    assert chosen.tolist() == [[False, True], [False, False], [True, True]]


def test_each_text_can_have_its_own_number_of_words():
    chosen = choose_words(torch.zeros(3, 4), torch.tensor([[0], [2], [9]]))
    assert chosen.sum(dim=1).tolist() == [0, 2, 4]


def test_tokens_of_words_leave_out_special_tokens_and_padding():
    batch = make_batch([[[1, 2], [3]], [[4]]], [[1.0, 1.0], [1.0]])
    words = torch.tensor([[True, False], [True, False]])
    found = tokens_of_words(batch["word_ids"], words)
    assert [ids[kept].tolist() for ids, kept in zip(batch["input_ids"], found, strict=True)] == [
        [1, 2],
        [4],
    ]


def merged(own_words, lent_words, max_length=64):
    """Merge the given words of the first text with those of the second."""
    batch = make_batch([[[1], [2], [3], [4]], [[11, 12], [13]]], [[1.0] * 4, [1.0] * 2])
    ids, word_ids = batch["input_ids"], batch["word_ids"]
    own = tokens_of_words(word_ids, torch.tensor([own_words, [False] * 4]))
    own |= (word_ids < 0) & batch["attention_mask"].bool()
    lent = tokens_of_words(word_ids, torch.tensor([[False] * 4, lent_words + [False] * 2]))
    made, mask, rows = merge_texts(
        ids, own, lent[[1, 0]], torch.tensor([1, 0]), torch.tensor([0]), max_length
    )
    assert rows.tolist() == ([0] if len(made) else [])
    return [row[kept.bool()].tolist() for row, kept in zip(made, mask, strict=True)]


def test_merged_words_stand_between_the_special_tokens_at_their_places():
    (made,) = merged([False, True, True, False], [True, True])
    assert (made[0], made[-1]) == (CLS, SEP)
    assert [token for token in made if token < 10] == [2, 3]
    assert [token for token in made if 10 < token < CLS] == [11, 12, 13]
    # Spread over the text: neither all before nor all behind its own words.
    assert made.index(11) < made.index(2) < made.index(13)


def test_nothing_lent_leaves_the_text_as_it_is():
    assert merged([True] * 4, [False, False]) == [[CLS, 1, 2, 3, 4, SEP]]


def test_texts_that_would_be_too_long_are_left_out():
    assert merged([True] * 4, [True, True], max_length=8) == []
    assert len(merged([True] * 4, [True, True], max_length=9)[0]) == 9
