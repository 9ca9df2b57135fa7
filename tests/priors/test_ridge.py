import numpy as np
import pytest
from sklearn.linear_model import Ridge

from skcap.priors import ridge
from skcap.priors.masks import draw_masks
from skcap.priors.ridge import solve_ridge


def problems(sizes=(7, 3, 12, 1, 2, 7, 30), seed=0):
    rng = np.random.default_rng(seed)
    masks = [draw_masks(d, int(rng.integers(0, 40)), seed=i) for i, d in enumerate(sizes)]
    return masks, [rng.normal(3, 2, len(mask)) for mask in masks]


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_equals_sklearn(alpha, fit_intercept):
    masks, targets = problems()
    solved = solve_ridge(masks, targets, alpha=alpha, fit_intercept=fit_intercept)
    for mask, target, scores in zip(masks, targets, solved, strict=True):
        model = Ridge(alpha=alpha, fit_intercept=fit_intercept, solver="svd")
        expected = model.fit(mask.astype(float), target).coef_
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_equals_least_squares_with_the_ridge_as_extra_equations(fit_intercept):
    masks, targets = problems(seed=1)
    solved = solve_ridge(masks, targets, alpha=0.5, fit_intercept=fit_intercept)
    for mask, target, scores in zip(masks, targets, solved, strict=True):
        n_words = mask.shape[1]
        penalty = np.sqrt(0.5) * np.eye(n_words)
        rows = np.concatenate([mask, penalty])
        if fit_intercept:  # an unpenalised column
            column = np.concatenate([np.ones(len(mask)), np.zeros(n_words)])
            rows = np.concatenate([rows, column[:, None]], axis=1)
        values = np.concatenate([target, np.zeros(n_words)])
        expected = np.linalg.lstsq(rows, values, rcond=None)[0][:n_words]
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


def test_is_the_equation_of_the_paper():
    (mask,), (target,) = problems(sizes=[8])
    (scores,) = solve_ridge([mask], [target], alpha=2.0)
    M = mask.astype(float)
    expected = np.linalg.inv(M.T @ M + 2.0 * np.eye(8)) @ M.T @ target
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


@pytest.mark.parametrize("numbers", [1, 500, 10**7])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_text_alone_gets_what_it_gets_in_company(monkeypatch, numbers, fit_intercept):
    masks, targets = problems()
    alone = [
        solve_ridge([mask], [target], alpha=1.0, fit_intercept=fit_intercept)[0]
        for mask, target in zip(masks, targets, strict=True)
    ]
    monkeypatch.setattr(ridge, "_BATCH_NUMBERS", numbers)  # all alone, in groups, all at once
    for order in (range(7), [3, 6, 0, 5, 1, 4, 2], range(6, -1, -1)):
        together = solve_ridge(
            [masks[i] for i in order],
            [targets[i] for i in order],
            alpha=1.0,
            fit_intercept=fit_intercept,
        )
        for i, scores in zip(order, together, strict=True):
            np.testing.assert_allclose(scores, alone[i], rtol=1e-6, atol=1e-7)


def test_groups_keep_to_the_size_of_a_batch(monkeypatch):
    sizes = []
    solve = ridge._solve_batch

    def counted(masks, *rest):
        n_variants, n_words = max(map(len, masks)), max(mask.shape[1] for mask in masks)
        sizes.append((len(masks), len(masks) * (n_variants * n_words + n_words**2)))
        return solve(masks, *rest)

    monkeypatch.setattr(ridge, "_solve_batch", counted)
    monkeypatch.setattr(ridge, "_BATCH_NUMBERS", 5000)
    solve_ridge(*problems(sizes=[2, 3, 5, 8] * 30), alpha=1.0)
    assert sum(count for count, _ in sizes) == 120
    assert 1 < len(sizes) < 60
    assert max(numbers for _, numbers in sizes) <= 5000


def test_text_without_words_has_no_scores():
    empty = np.zeros((0, 0), dtype=bool)
    masks, targets = problems(sizes=[3])
    first, second, third = solve_ridge(
        [empty, *masks, empty], [np.zeros(0), *targets, np.zeros(0)], alpha=1.0
    )
    assert first.shape == third.shape == (0,)
    assert second.shape == (3,)
    assert first.dtype == np.float32
    assert solve_ridge([], [], alpha=1.0) == []


def test_one_word():
    # Full text and empty text: without an intercept only the full text says anything.
    (scores,) = solve_ridge([np.array([[True], [False]])], [np.array([4.0, 1.0])], alpha=1.0)
    np.testing.assert_allclose(scores, [2.0])
    (scores,) = solve_ridge(
        [np.array([[True], [False]])], [np.array([4.0, 1.0])], alpha=1.0, fit_intercept=True
    )
    np.testing.assert_allclose(scores, [1.0])  # (3 / 2) / (1 / 2 + 1)


@pytest.mark.parametrize("alpha", [1e-16, 1e-300])
def test_an_alpha_that_rounding_errors_drown_says_so(alpha):
    masks, targets = [np.ones((2, 4), dtype=bool)], [np.array([1.0, 2.0])]
    with pytest.raises(ValueError, match=r"alpha: 1e-\d+ is too small .* alpha=1e-6 or more"):
        solve_ridge(masks, targets, alpha=alpha)


def test_an_alpha_that_moves_weights_by_some_percent_says_so():
    masks = [draw_masks(8, 0, seed=0)]
    with pytest.raises(ValueError, match="too small"):
        solve_ridge(masks, [np.arange(8.0)], alpha=1e-15, fit_intercept=True)
    solve_ridge(masks, [np.arange(8.0)], alpha=1e-10, fit_intercept=True)


def test_a_tiny_alpha_is_no_ridge_where_there_are_masks_enough():
    # Of uneven texts, whose padded words have columns of zeros.
    masks = [np.array([[1, 0], [0, 1], [1, 1]], dtype=bool), np.array([[1], [0]], dtype=bool)]
    targets = [np.array([1.0, 2.0, 3.0]), np.array([5.0, 0.0])]
    first, second = solve_ridge(masks, targets, alpha=1e-300)
    np.testing.assert_allclose(first, [1.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(second, [5.0])
