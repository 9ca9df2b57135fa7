"""Fits that are interrupted or fail: the error leaves as it is, and nothing looks fitted."""

import numpy as np
import pytest
from keyword_task import LABELS, PRIOR, TEXTS
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback

from skcap.guidance import BaseGuidance
from skcap.models import ModelLoadError

EVENTS = ["on_train_begin", "on_epoch_begin", "on_batch_begin", "on_batch_end", "on_epoch_end"]


class Raise(Callback):
    """Raises an error when something happens, such as the end of an epoch."""

    def __init__(self, event, error=KeyboardInterrupt):
        self.event = event
        self.error = error

    def happened(self, event):
        if event == self.event:
            raise self.error


for name in EVENTS:
    setattr(Raise, name, lambda self, net, *args, event=name, **kwargs: self.happened(event))


class Fits(BaseGuidance):
    """Counts trainings, without doing anything."""

    counted: list[int] = []

    def prepare(self, task):
        self.counted.append(len(task.texts))
        return {}


def assert_not_fitted(classifier):
    with pytest.raises(NotFittedError):
        check_is_fitted(classifier)
    with pytest.raises(NotFittedError):
        classifier.predict(TEXTS)
    assert [name for name in vars(classifier) if name.endswith("_")] == []


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupt_leaves_as_it_is_and_nothing_is_fitted(make, event, error):
    classifier = make(max_epochs=1).fit(PRIOR, LABELS)
    check_is_fitted(classifier)
    classifier.set_params(callbacks=[Raise(event, error)])
    with pytest.raises(error):
        classifier.fit(PRIOR, LABELS)
    assert_not_fitted(classifier)
    classifier.set_params(callbacks=None).fit(PRIOR, LABELS)
    check_is_fitted(classifier)


@pytest.mark.parametrize("event", ["on_batch_begin", "on_epoch_end"])
def test_an_interrupt_stops_a_grid_search(make, event):
    Fits.counted.clear()
    classifier = make(guidance=Fits(), max_epochs=1, callbacks=[Raise(event)])
    search = GridSearchCV(classifier, {"lr": [0.1, 0.01]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(TEXTS, LABELS)
    assert Fits.counted == [24]  # neither another fold nor another setting
    assert not hasattr(search, "cv_results_")


@pytest.mark.parametrize(
    ("X", "y", "error"),
    [
        (PRIOR, ["rain"] * 48, ValueError),
        (PRIOR, LABELS[:5], ValueError),
        (TEXTS, LABELS, ValueError),  # without a prior
        (None, LABELS, TypeError),
    ],
)
def test_a_refit_on_bad_data_leaves_nothing_of_the_fit_before(make, X, y, error):
    classifier = make(max_epochs=1).fit(PRIOR, LABELS)
    with pytest.raises(error):
        classifier.fit(X, y)
    assert_not_fitted(classifier)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"beta": -1}, ValueError),
        ({"guidance": "both"}, ValueError),
        ({"model": "no/such folder"}, ModelLoadError),
        ({"max_length": 1000}, ValueError),  # found out when the model is loaded already
    ],
)
def test_a_refit_with_bad_parameters_leaves_nothing_of_the_fit_before(make, change, error):
    classifier = make(max_epochs=1).fit(PRIOR, LABELS)
    with pytest.raises(error):
        classifier.set_params(**change).fit(PRIOR, LABELS)
    assert_not_fitted(classifier)


class Broken(BaseGuidance):
    """Fails in one of its methods."""

    parts = ("broken",)

    def __init__(self, at="prepare"):
        self.at = at

    def prepare(self, task):
        return self._fail("prepare", {})

    def change(self, step):
        return self._fail("change", step.batch)

    def losses(self, step):
        yield "broken", self._fail("losses", step.batch["weight"].sum() * 0)

    def review(self, task, classifier):
        check_is_fitted(classifier)  # it can be used as a fitted one here
        assert classifier.predict(task.texts).shape == (len(task.texts),)
        return self._fail("review", False)

    def _fail(self, here, result):
        if here == self.at:
            raise ArithmeticError(here)
        return result


@pytest.mark.parametrize("at", ["prepare", "change", "losses", "review"])
def test_an_error_in_a_guidance_leaves_nothing_fitted(make, at):
    classifier = make(guidance=Broken(), max_epochs=1).set_params(guidance__at="nowhere")
    assert np.isfinite(classifier.fit(TEXTS, LABELS).net_.history[-1, "train_broken"])
    with pytest.raises(ArithmeticError, match=at):
        classifier.set_params(guidance__at=at).fit(TEXTS, LABELS)
    assert_not_fitted(classifier)
