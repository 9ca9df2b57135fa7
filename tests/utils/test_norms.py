import pytest
import torch

from skcap.utils.norms import ALIGNMENT_LOSSES, NORMS, alignment_loss, normalize_scores

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


def test_alignment_is_the_mean_over_words_not_over_texts():
    prior = torch.tensor([[1.0, 0.0, 0.0], [2.0, NAN, NAN]])
    loss = alignment_loss(prior, torch.zeros(2, 3), ~prior.isnan())
    torch.testing.assert_close(loss, torch.tensor((1 + 4) / 4))


def test_weight_counts_the_words_of_a_text():
    prior = torch.tensor([[1.0, 0.0, 0.0], [2.0, NAN, NAN]])
    attribution = torch.zeros(2, 3, requires_grad=True)
    loss = alignment_loss(prior, attribution, ~prior.isnan(), torch.tensor([0.5, 3.0]))
    torch.testing.assert_close(loss.detach(), torch.tensor((0.5 + 12) / 4.5))
    alignment_loss(prior, attribution, ~prior.isnan(), torch.tensor([1.0, 0.0])).backward()
    assert attribution.grad[0].any()
    assert not attribution.grad[1].any()


@pytest.mark.parametrize("weight", [None, torch.zeros(2)])
def test_nothing_supervised_is_exactly_zero_with_a_graph(weight):
    attribution = torch.ones(2, 3, requires_grad=True)
    mask = torch.zeros(2, 3).bool() if weight is None else torch.ones(2, 3).bool()
    loss = alignment_loss(torch.full((2, 3), 5.0), attribution, mask, weight)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(attribution.grad, torch.zeros(2, 3))


def test_nan_outside_of_the_mask_poisons_nothing():
    attribution = torch.tensor([[1.0, NAN]], requires_grad=True)
    loss = alignment_loss(torch.tensor([[3.0, NAN]]), attribution, torch.tensor([[True, False]]))
    loss.backward()
    assert loss.item() == 4
    assert torch.equal(attribution.grad, torch.tensor([[-4.0, 0.0]]))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mse", (0.2**2 + 0.2**2 + 0.4**2) / 3),
        ("cosine", 1 - (0.6 * 0.8 + 0.8 * 0.6) / 1.16**0.5),
        # Gaps wanted: 0.2, 0.6, 0.8. There: -0.2, 0.4, 0.2.
        ("rank", (0.4 + 0.2 + 0.6) / 3),
    ],
)
def test_each_kind_of_alignment_loss(kind, expected):
    prior = torch.tensor([[0.6, NAN, 0.8, 0.0]])
    attribution = torch.tensor([[0.8, 9.0, 0.6, 0.4]])
    loss = alignment_loss(prior, attribution, ~prior.isnan(), kind=kind)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_divergence_of_shares_of_one():
    prior, attribution = torch.tensor([[0.5, 0.5, NAN]]), torch.tensor([[0.9, 0.1, 5.0]])
    loss = alignment_loss(prior, attribution, ~prior.isnan(), kind="kl")
    expected = torch.tensor([0.5, 0.5]) @ torch.log(torch.tensor([0.5 / 0.9, 0.5 / 0.1]))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "scale"),
    [("mse", 1), ("cosine", 1), ("cosine", 7), ("rank", 1), ("rank", 7), ("kl", 1)],
)
def test_no_loss_where_all_that_is_asked_for_is_there(kind, scale):
    prior = torch.tensor([[0.7, 0.1, 0.2]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    loss = alignment_loss(prior, scale * prior, mask, kind=kind)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert alignment_loss(prior, prior.flip(1), mask, kind=kind) > 0.1


@pytest.mark.parametrize("kind", ALIGNMENT_LOSSES)
def test_alignment_losses_can_be_differentiated_twice(kind):
    generator = torch.Generator().manual_seed(0)
    prior, scores = torch.rand(2, 2, 4, generator=generator, dtype=torch.float64)
    mask = torch.tensor([[True] * 4, [True, False, True, False]])
    scores.requires_grad_()

    def loss(values):
        return alignment_loss(prior, values, mask, torch.tensor([0.5, 2.0]), kind)

    assert torch.autograd.gradcheck(loss, (scores,))
    assert torch.autograd.gradgradcheck(loss, (scores,))


@pytest.mark.parametrize("kind", ALIGNMENT_LOSSES)
def test_alignment_losses_are_finite_at_the_edges(kind):
    prior = torch.tensor([[0.0, 0.0], [1.0, 0.0], [NAN, NAN]])
    attribution = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, NAN]], requires_grad=True)
    loss = alignment_loss(prior, attribution, ~prior.isnan(), kind=kind)
    loss.backward()
    assert loss.isfinite()
    assert attribution.grad.isfinite().all()


def test_unknown_alignment_loss_lists_the_known():
    with pytest.raises(ValueError, match="'mse', 'cosine', 'rank', 'kl', got 'l1'"):
        alignment_loss(torch.ones(1, 1), torch.ones(1, 1), torch.ones(1, 1).bool(), kind="l1")
