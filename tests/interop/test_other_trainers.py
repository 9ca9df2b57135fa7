"""What others do with a classifier: clean labels, calibrate, stop early, search."""

import numpy as np
import pytest
from keyword_task import LABELS, NEW_LABELS, NEW_TEXTS, PRIOR, TEXTS
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import cross_val_predict, cross_val_score
from skorch.callbacks import EarlyStopping, EpochScoring, LRScheduler
from skorch.dataset import ValidSplit


def test_cleanlab_finds_the_wrong_label(make):
    filter_ = pytest.importorskip("cleanlab.filter")
    codes = np.unique(LABELS, return_inverse=True)[1]
    wrong = codes.copy()
    wrong[7] = (wrong[7] + 1) % 3
    clf = make(guidance=None, max_epochs=20)
    p = cross_val_predict(clf, TEXTS, wrong, cv=3, method="predict_proba")
    issues = filter_.find_label_issues(wrong, p, return_indices_ranked_by="self_confidence")
    assert issues[0] == 7
    assert len(issues) < 6


@pytest.mark.parametrize("guidance", [None, "alignment"])
def test_calibration(make, guidance):
    X = TEXTS if guidance is None else PRIOR
    calibrated = CalibratedClassifierCV(make(guidance=guidance), method="sigmoid", cv=2)
    calibrated.fit(X, LABELS)
    p = calibrated.predict_proba(NEW_TEXTS)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert calibrated.score(NEW_TEXTS, NEW_LABELS) > 0.8


def test_skorch_callbacks_and_history(make):
    clf = make(
        guidance="alignment",
        beta=0.5,
        max_epochs=30,
        warmup=None,
        train_split=ValidSplit(3, stratified=True),
        callbacks=[
            ("stop", EarlyStopping(monitor="valid_loss", threshold=0.05)),
            ("lr", LRScheduler("StepLR", step_size=1, gamma=0.8)),
            ("loss", EpochScoring("neg_log_loss", name="heldout_log_loss", lower_is_better=False)),
        ],
        callbacks__stop__patience=2,
    )
    clf.fit(PRIOR, LABELS)
    history = clf.net_.history
    assert 2 < len(history) < 30  # stopped early
    for column in ("train_ce", "train_alignment", "valid_loss", "heldout_log_loss"):
        assert np.isfinite(history[:, column]).all()
    rates = history[:, "event_lr"]
    assert rates[-1] < rates[0]
    assert dict(clf.net_.callbacks_)["stop"].patience == 2


def test_optuna_over_beta_and_guidance(make):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial):
        guidance = trial.suggest_categorical("guidance", [None, "alignment", "rationale"])
        clf = make(
            guidance=guidance, beta=trial.suggest_float("beta", 0.1, 3.0, log=True), max_epochs=2
        )
        return cross_val_score(clf, PRIOR, LABELS, cv=2, error_score="raise").mean()

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=4)
    assert {trial.state.name for trial in study.trials} == {"COMPLETE"}
    best = make(**study.best_params, max_epochs=2).fit(PRIOR, LABELS)
    assert best.beta == study.best_params["beta"]
