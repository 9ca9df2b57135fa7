"""Explanations shown by captum's and shap's own views of texts."""

import numpy as np
import pytest
from keyword_task import LABELS, NEW_TEXTS

from skcap import PriorMatrix


@pytest.fixture(scope="module")
def explained(plain):
    return plain.explain(NEW_TEXTS[:2])


def test_captum(plain, explained):
    """What ``visualize_text`` does with its records; itself, it needs a notebook's IPython."""
    viz = pytest.importorskip("captum.attr").visualization
    row, p, predicted = explained[0], plain.predict_proba(explained.texts)[0], "music"
    record = viz.VisualizationDataRecord(
        word_attributions=row.scores / np.abs(row.scores).max(),
        pred_prob=p.max(),
        pred_class=predicted,
        true_class=predicted,
        attr_class=predicted,
        attr_score=row.scores.sum(),
        raw_input_ids=row.words,
        convergence_score=0.0,
    )
    page = viz.format_word_importances(record.raw_input_ids, record.word_attributions)
    assert page.count("<mark") == len(row.words)
    assert all(f" {word} " in page for word in row.words)


def test_shap(explained):
    shap = pytest.importorskip("shap")
    explanation = shap.Explanation(
        values=np.array([*explained.scores, None], dtype=object)[:-1],
        base_values=np.zeros(len(explained)),
        data=np.array([*explained.words, None], dtype=object)[:-1],
    )
    page = shap.plots.text(explanation[0], display=False)
    for word in explained[0].words:
        assert word in page


def test_shap_explanation_comes_back(plain):
    """What shap's own explainer says of our classifier, as a PriorMatrix."""
    shap = pytest.importorskip("shap")

    explainer = shap.Explainer(
        lambda texts: plain.predict_proba([str(text) for text in texts]),
        shap.maskers.Text(r"\s+", mask_token="..."),
        output_names=plain.classes_.tolist(),
        seed=0,
    )
    text = "please set the alarm"
    found = explainer([text], max_evals=40, silent=True)
    column = LABELS.tolist().index("alarm")
    values = found.values[0][:, column]
    prior = PriorMatrix([text], [values], provenance={"source": "shap"})
    assert prior.words == [[piece.strip() for piece in found.data[0]]]
