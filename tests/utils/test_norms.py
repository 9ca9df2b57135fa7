import pytest
import torch

from skcap.utils.norms import NORMS, normalize_scores

NAN = float("nan")


def masked(rows):
    scores = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
    return scores, ~scores.isnan()


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("l2", [0.6, -0.8]),
        ("max", [0.75, -1.0]),
        ("sum", [3 / 7, -4 / 7]),
        ("minmax", [1.0, 0.0]),
        ("softmax", [0.999089, 0.000911]),
        (None, [3.0, -4.0]),
    ],
)
def test_each_norm_over_the_masked_words_only(how, expected):
    scores, mask = masked([[3.0, NAN, -4.0, NAN]])
    got = normalize_scores(scores, mask, how)
    torch.testing.assert_close(
        got.detach(),
        torch.tensor([[expected[0], 0, expected[1], 0]]).double(),
        atol=1e-6,
        rtol=0,
    )


def test_scores_outside_of_the_mask_have_no_say():
    mask = torch.tensor([[True, False, True]])
    for how in NORMS:
        plain, wild = (
            normalize_scores(torch.tensor([[1.0, outside, 2.0]]), mask, how)
            for outside in (0.0, 1e30)
        )
        assert torch.equal(plain, wild)


@pytest.mark.parametrize("how", NORMS)
@pytest.mark.parametrize(
    "row", [[NAN, NAN], [0.0, 0.0], [0.0, NAN], [2.0, 2.0], [1e-40, NAN], [1e-30, -1e-30]]
)
def test_values_and_gradients_are_finite_at_the_edges(how, row):
    scores = torch.tensor([row, [1.0, -2.0]], requires_grad=True)
    got = normalize_scores(scores, ~scores.isnan(), how)
    (got * torch.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    assert got.isfinite().all()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("how", NORMS)
def test_rows_that_cannot_be_scaled_give_zeros(how):
    scores = torch.tensor([[NAN, NAN], [0.0, 0.0]])
    got = normalize_scores(scores, ~scores.isnan(), how)
    assert (got[0] == 0).all()
    assert (got[1] == (0.5 if how == "softmax" else 0)).all()


def test_a_constant_row_is_zero_under_minmax():
    scores = torch.full((1, 3), 7.0)
    assert (normalize_scores(scores, scores > 0, "minmax") == 0).all()


def test_tiny_scores_are_scaled_not_dropped():
    scores = torch.tensor([[3e-30, -4e-30]])
    for how, expected in [("l2", [0.6, -0.8]), ("max", [0.75, -1]), ("sum", [3 / 7, -4 / 7])]:
        got = normalize_scores(scores, scores != 0, how)
        torch.testing.assert_close(got, torch.tensor([expected]))


@pytest.mark.parametrize("how", NORMS)
def test_gradients_equal_finite_differences(how):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(3, 4, dtype=torch.float64, generator=generator).requires_grad_()
    mask = torch.tensor([[1, 1, 1, 1], [1, 0, 1, 0], [0, 1, 1, 1]]).bool()
    assert torch.autograd.gradcheck(lambda s: normalize_scores(s, mask, how), (scores,))
    assert torch.autograd.gradgradcheck(lambda s: normalize_scores(s, mask, how), (scores,))


@pytest.mark.parametrize("how", NORMS)
def test_texts_without_words(how):
    assert normalize_scores(torch.zeros(2, 0), torch.zeros(2, 0).bool(), how).shape == (2, 0)


def test_unknown_norm_lists_the_known():
    with pytest.raises(
        ValueError, match=r"'l2', 'max', 'sum', 'minmax', 'softmax', None, got 'l1'"
    ):
        normalize_scores(torch.zeros(1, 1), torch.ones(1, 1).bool(), "l1")
