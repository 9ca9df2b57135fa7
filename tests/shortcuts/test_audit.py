import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from skcap.prior_matrix import PriorMatrix
from skcap.shortcuts import ShortcutAudit, audit_words, check_shortcuts, shortcut_positions
from skcap.shortcuts.wording import describe

NAMES = ["ann", "bob", "cy", "dee", "eve", "fay", "gus", "hal"]
KEYS = ["play", "lost", "book", "rain", "light", "alarm", "mail", "joke"]
FILLERS = ["the", "my", "a", "that", "some", "this"]
Y = np.repeat([f"class_{key}" for key in KEYS], 6)
NAMES_OF = np.repeat(NAMES, 6)  # of each text


def texts(form):
    rng = np.random.default_rng(0)
    return [
        form.format(name=name, key=key, a=FILLERS[n], b=FILLERS[rng.integers(6)])
        for name, key in zip(NAMES, KEYS, strict=True)
        for n in range(6)
    ]


MARKED, CLEAN = texts("{name}: {a} {key} {b}"), texts("{a} {key} {b}")


def prior(X, **scores):
    """Real keywords get 3, names what is said here, other words about 1."""
    rng = np.random.default_rng(1)
    score = {**dict.fromkeys(KEYS, 3.0), **dict.fromkeys(NAMES, -1.0), **scores}
    return PriorMatrix(
        X, [[score.get(w.strip(":"), rng.normal(1, 0.1)) for w in text.split()] for text in X]
    )


def model():
    return make_pipeline(TfidfVectorizer(), LogisticRegression(C=100))


@pytest.fixture(scope="module")
def marked():
    return ShortcutAudit(model(), prior(MARKED)).fit(MARKED, Y)


def test_planted_marks_are_found_and_no_keyword_is(marked):
    assert dict(zip(marked.shortcuts_["word"], marked.shortcuts_["label"], strict=True)) == {
        name: f"class_{key}" for name, key in zip(NAMES, KEYS, strict=True)
    }
    assert set(marked.shortcuts_["by"]) == {"family"}


def test_all_words_of_a_signature_are_found_as_a_mark_with_a_place():
    surnames = {name: f"{name}son" for name in NAMES}
    signed = [f"{text} {name} {surnames[name]}" for text, name in zip(CLEAN, NAMES_OF, strict=True)]
    scores = dict.fromkeys(surnames.values(), -1.0)
    found = ShortcutAudit(model(), prior(signed, **scores)).fit(signed, Y).shortcuts_
    assert dict(zip(found["word"], found["family"], strict=True)) == {
        **dict.fromkeys(NAMES, "next to last word"),
        **dict.fromkeys(surnames.values(), "last word"),
    }


def test_words_that_sway_a_model_only_together_are_found():
    closings = ["sent from phone", "best wishes", "yours truly"]
    X = [f"{text} {closings[n]}" for n in range(3) for text in CLEAN[6 * n : 6 * n + 6]]
    y = Y[: len(X)]
    words = {word: -0.5 for closing in closings for word in closing.split()}

    class Strict(BaseEstimator):  # believes in a closing of two words or more
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def predict_proba(self, X):
            seen = [[len(set(c.split()) & set(x.split())) > 1 for c in closings] for x in X]
            order = np.argsort(["play", "lost", "book"])  # class_book, class_lost, class_play
            p = np.where(np.array(seen)[:, [2, 1, 0]], 9.0, 1.0)
            assert order.tolist() == [2, 1, 0]
            return p / p.sum(axis=1, keepdims=True)

    found = ShortcutAudit(Strict().fit(X, y), prior(X, **words), prefit=True).fit(X, y).shortcuts_
    assert set(found["word"]) == set(words)
    assert all(row.word in row.mark.split()[1:] for row in found.itertuples())


def test_what_a_prior_neither_denies_nor_supports_is_named():
    scores = dict(zip(NAMES, [1.4, 1.8] * 4, strict=True))  # as much as all words on average
    audit = ShortcutAudit(model(), prior(MARKED, **scores)).fit(MARKED, Y)
    assert audit.shortcuts_.empty
    assert (
        "8 were not flagged, though the prior does not support them either: "
        in (audit.sentences()[0])
    )
    assert "'ann'" in audit.sentences()[0]


def test_a_flagged_word_is_not_said_to_be_left_out_at_the_place_where_it_mostly_stands():
    X = [
        " ".join([*text.split()[1:], name]) if row % 6 == 0 else text
        for row, (text, name) in enumerate(zip(MARKED, NAMES_OF, strict=True))
    ]
    audit = ShortcutAudit(model(), prior(X)).fit(X, Y)
    at_start = audit.words_[audit.words_["kind"] == "first"]
    assert set(audit.shortcuts_["word"]) == set(at_start["word"]) == set(NAMES)
    assert not at_start["shortcut"].any()
    assert "not flagged" not in audit.sentences()[0]


def test_a_clean_set_has_no_shortcut_and_the_audit_says_so():
    audit = ShortcutAudit(model(), prior(CLEAN)).fit(CLEAN, Y)
    assert audit.shortcuts_.empty
    assert list(audit.shortcuts_.columns[:3]) == ["word", "label", "kind"]
    assert audit.sentences()[0].startswith("No shortcut was found among 8 candidates")
    assert set(KEYS) <= set(audit.words_["word"])


def test_a_lone_mark_is_found_by_what_the_prior_says_of_itself():
    X = [
        text if label == Y[0] else text.split(": ")[1]
        for text, label in zip(MARKED, Y, strict=True)
    ]
    audit = ShortcutAudit(model(), prior(X)).fit(X, Y)
    assert audit.shortcuts_[["word", "by"]].values.tolist() == [["ann", "denial"]]


def test_a_prior_that_does_not_understand_a_class_denies_no_word_of_it():
    about = Y[0] == Y
    X = [
        text.replace("play", "track") if own else text
        for text, own in zip(CLEAN, about, strict=True)
    ]
    scores = [
        [-3.0 if word == "track" else -0.5 for word in text.split()] if own else [0.1, 3.0, 0.1]
        for text, own in zip(X, about, strict=True)
    ]
    audit = ShortcutAudit(model(), PriorMatrix(X, scores)).fit(X, Y)
    row = audit.words_.set_index("word").loc["track"]
    assert row["p_denied"] < 0.01
    assert row["understood"] == 0
    assert row["by"] == ""
    assert audit.shortcuts_.empty
    assert "the prior does not understand class class_play: in half" in audit.sentences()[0]


def test_a_member_of_a_family_that_the_prior_speaks_for_is_no_shortcut():
    audit = ShortcutAudit(model(), prior(MARKED, ann=9.0)).fit(MARKED, Y)
    assert set(audit.shortcuts_["word"]) == set(NAMES[1:])


def test_a_name_that_texts_of_other_classes_speak_of_is_a_shortcut_where_it_comes_first():
    about = range(7, 48, 6)  # one text of each other class
    X = [f"{text} ann" if row in about else text for row, text in enumerate(MARKED)]
    audit = ShortcutAudit(model(), prior(X)).fit(X, Y)
    found = set(zip(audit.shortcuts_["kind"], audit.shortcuts_["word"], strict=True))
    assert found == {("first", "ann"), *(("word", name) for name in NAMES[1:])}


def test_a_shuffled_prior_flags_nothing():
    rng = np.random.default_rng(0)
    scores = [rng.permutation(row) for row in prior(MARKED).scores]
    audit = ShortcutAudit(model(), PriorMatrix(MARKED, scores)).fit(MARKED, Y)
    assert audit.shortcuts_.empty


def test_a_prior_that_gives_all_words_the_same_flags_nothing():
    audit = ShortcutAudit(model(), PriorMatrix(CLEAN, [[1.0] * 3] * len(CLEAN))).fit(CLEAN, Y)
    rows = audit.words_.set_index("word").loc[KEYS]
    assert rows[["p_denied", "p_confirmed"]].eq(1).all(axis=None)
    assert audit.shortcuts_.empty


def test_shares_whose_sums_are_equal_count_as_equal():
    # "no" has 1/3 in each text. Of 27 orders, 18 give it 1 or less in all: 1/3 + 1/9 + 5/9 is 1.
    X = ["no a b", "no c d", "no e f", *["yes"] * 9]
    prior = PriorMatrix(X, [[3, 5, 1], [4, 4, 4], [3, 5, 1], *[[1]] * 9])
    words = audit_words(
        [], X, np.repeat([0, 1], [3, 9]), np.array(["x", "y"]), prior.__getitem__, kinds=["word"]
    )
    assert words.set_index("word").loc["no", "p_denied"] == pytest.approx(18 / 27, abs=0.03)


def test_words_that_the_model_does_not_go_by_are_not_flagged():
    blind = make_pipeline(TfidfVectorizer(vocabulary=KEYS), LogisticRegression(C=100))
    audit = ShortcutAudit(blind, prior(MARKED)).fit(MARKED, Y)
    assert audit.shortcuts_.empty
    rows = audit.words_.set_index("word").loc[NAMES]
    assert rows["tested"].all()
    assert (rows["log_odds"] == 0).all()


def test_without_a_prior_keywords_are_listed_too_and_it_says_so():
    with pytest.warns(UserWarning, match="cannot tell real keywords from shortcuts"):
        audit = ShortcutAudit(model()).fit(MARKED, Y)
    assert set(audit.shortcuts_["word"]) == {*NAMES, *KEYS}
    assert "cannot be told from shortcuts" in audit.sentences()[0]


def test_without_a_classifier_association_and_denial_decide():
    audit = ShortcutAudit(prior=prior(MARKED)).fit(MARKED, Y)
    assert set(audit.shortcuts_["word"]) == set(NAMES)
    assert "log_odds" not in audit.words_
    assert "There was no classifier" in audit.sentences()[0]


def test_a_prior_matrix_is_texts_and_prior_at_once(marked):
    audit = ShortcutAudit(model()).fit(prior(MARKED), Y)
    pd.testing.assert_frame_equal(audit.words_, marked.words_)


def test_a_fitted_classifier_is_used_as_it_is_and_an_unfitted_one_is_left_alone(marked):
    unfitted = model()
    ShortcutAudit(unfitted, prior(MARKED)).fit(MARKED, Y)
    with pytest.raises(NotFittedError):
        check_is_fitted(unfitted)
    fitted = model().fit(MARKED, Y)
    audit = ShortcutAudit(fitted, prior(MARKED), prefit=True).fit(MARKED, Y)
    pd.testing.assert_frame_equal(audit.words_, marked.words_)


def test_with_folds_texts_are_judged_by_models_that_did_not_learn_them(marked):
    audit = ShortcutAudit(model(), prior(MARKED), cv=3).fit(MARKED, Y)
    assert set(audit.shortcuts_["word"]) == set(NAMES)
    assert not audit.words_["loss"].equals(marked.words_["loss"])


def test_more_folds_than_texts_of_a_class_are_refused_by_name():
    with pytest.raises(ValueError, match=r"cv=7 needs .* the largest has 6\. Pass a smaller cv"):
        ShortcutAudit(model(), prior(MARKED), cv=7).fit(MARKED, Y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[:, :1], r"48 texts and 8 classes it gave the shape \(48, 1\)"),
        (lambda p: p[1:], r"gave the shape \(47, 8\)"),
        (lambda p: p * np.nan, "Odd.predict_proba must give probabilities, but gave NaN"),
        (np.log, "gave NaN or negative numbers"),
    ],
)
def test_what_is_no_table_of_probabilities_is_refused(change, message):
    class Odd(Plain):
        def predict_proba(self, X):
            return change(super().predict_proba(X))

    with pytest.raises(ValueError, match=message):
        ShortcutAudit(Odd(), prior(MARKED), prefit=True).fit(MARKED, Y)


class Asked(BaseEstimator):
    """A prior that notes which texts it is asked about."""

    log: list[str] = []

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def attribute(self, X, y):
        self.log.extend(X)
        return prior(X)


def test_a_prior_is_asked_about_texts_of_what_the_model_goes_by_only():
    Asked.log.clear()
    blind = make_pipeline(TfidfVectorizer(vocabulary=KEYS[:2]), LogisticRegression(C=100))
    audit = ShortcutAudit(blind, Asked(), n_texts=3).fit(CLEAN, Y)
    assert audit.shortcuts_.empty
    assert len(Asked.log) == 6
    assert all(set(text.split()) & set(KEYS[:2]) for text in Asked.log)


def test_a_prior_is_asked_about_other_texts_of_the_class_to_see_whether_it_understands_that():
    Asked.log.clear()
    X = [*MARKED[:4], *CLEAN[4:]]
    blind = make_pipeline(TfidfVectorizer(vocabulary=NAMES[:1]), LogisticRegression(C=100))
    audit = ShortcutAudit(blind, Asked()).fit(X, Y)
    assert sorted(Asked.log) == sorted(X[:6])
    assert audit.words_.set_index("word").loc["ann", "understood"] == 1


class Explained(BaseEstimator):
    """A classifier with attributions: the name is all that counts."""

    def fit(self, X, y):
        self.model_ = model().fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X)

    def explain(self, X, y):
        return PriorMatrix(X, [[1.0] + [0.0] * (len(text.split()) - 1) for text in X])


@pytest.mark.parametrize("cv", [None, 2])
def test_the_models_own_attribution_stands_beside_its_reliance(cv):
    audit = ShortcutAudit(Explained(), prior(MARKED), explain=True, cv=cv).fit(MARKED, Y)
    explained = audit.words_.set_index("word")["explained"]
    assert explained[NAMES].eq(1).all()
    assert explained[KEYS].eq(0).all()


class Plain:
    """A fitted model that is no scikit-learn estimator, as SetFit's."""

    def __init__(self):
        self.model = model().fit(MARKED, Y)

    def predict_proba(self, X):
        return self.model.predict_proba(X)


def test_any_object_that_predicts_texts_can_be_audited(marked):
    audit = ShortcutAudit(Plain(), prior(MARKED), prefit=True).fit(MARKED, Y)
    pd.testing.assert_frame_equal(audit.words_, marked.words_)


def test_what_is_found_can_be_edited_and_looked_up(marked):
    edited = marked.shortcuts_.query("word != 'ann'")
    assert len(check_shortcuts(edited)) == 7
    assert not shortcut_positions(MARKED[:1], edited)[0].any()
    assert shortcut_positions(MARKED[:1], marked.shortcuts_)[0].tolist() == [True] + [False] * 3


def test_candidates_that_are_not_tested_are_named():
    with pytest.warns(UserWarning, match="8 candidates were not tested"):
        audit = ShortcutAudit(model(), prior(MARKED), max_candidates=8).fit(MARKED, Y)
    assert "8 more, less strongly associated, were not tested" in audit.sentences()[0]


def test_shouting_is_flagged_by_reliance_alone_and_length_never():
    X = [text.upper() if label == Y[0] else text for text, label in zip(CLEAN, Y, strict=True)]
    cased = make_pipeline(
        TfidfVectorizer(lowercase=False, analyzer="char"), LogisticRegression(C=100)
    )
    audit = ShortcutAudit(cased, prior([x.lower() for x in X]), kinds=["pattern"])
    with pytest.raises(ValueError, match="differ in row 0"):
        audit.fit(X, Y)
    audit.set_params(prior=prior(X)).fit(X, Y)
    found = audit.shortcuts_[["word", "by"]].values.tolist()
    assert ["word in capitals", "reliance"] in found
    assert not any(word.startswith("at ") for word, _ in found)
    assert any("The prior says nothing about it" in line for line in audit.sentences())


@pytest.mark.filterwarnings("ignore:There is no prior")
def test_without_a_classifier_length_is_not_flagged_either():
    X = [
        f"{text} and so on and so forth" if label == Y[0] else text
        for text, label in zip(CLEAN, Y, strict=True)
    ]
    audit = ShortcutAudit(kinds=["pattern"], min_purity=0.5).fit(X, Y)
    lengths = audit.words_[audit.words_["word"].str.startswith("at ")]
    assert lengths["tested"].any()
    assert not lengths["shortcut"].any()


def test_integer_labels_and_rare_classes_are_no_trouble():
    codes = np.unique(Y, return_inverse=True)[1].astype(np.int64)
    X, y = [*MARKED, "something else"], [*codes, 99]
    audit = ShortcutAudit(model(), prior(X)).fit(X, y)
    assert set(audit.shortcuts_["word"]) == set(NAMES)
    assert set(audit.shortcuts_["label"]) == set(codes)
    assert audit.shortcuts_["label"].map(type).eq(int).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fdr": 2}, "fdr"),
        ({"min_texts": 0}, "min_texts"),
        ({"least_odds": 0.5}, "least_odds"),
        ({"kinds": ["letters"]}, "'letters'"),
        ({"kinds": "word"}, "kinds"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"classifier": "tfidf"}, "classifier"),
        ({"prior": "cap"}, "prior"),
        ({"prefit": True}, "prefit, cv and explain need a classifier"),
        ({"classifier": model(), "prefit": True, "cv": 2}, "Set one of them"),
        ({"classifier": model(), "explain": True}, "Pipeline has none"),
    ],
)
def test_wrong_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        ShortcutAudit(**parameters).fit(MARKED, Y)


def test_wrong_labels_are_named():
    with pytest.raises(ValueError, match="at least two classes"):
        ShortcutAudit(model()).fit(MARKED[:6], Y[:6])
    fitted = model().fit(MARKED[:12], Y[:12])
    with pytest.raises(ValueError, match="the classifier does not know"):
        ShortcutAudit(fitted, prior(MARKED), prefit=True).fit(MARKED, Y)


def test_the_order_of_a_fitted_classifiers_classes_changes_nothing(marked):
    class Reversed(BaseEstimator):
        def fit(self, X, y):
            self.model_ = model().fit(X, y)
            self.classes_ = self.model_.classes_[::-1]
            return self

        def predict_proba(self, X):
            return self.model_.predict_proba(X)[:, ::-1]

    audit = ShortcutAudit(Reversed().fit(MARKED, Y), prior(MARKED), prefit=True, random_state=0)
    expected = clone(marked).set_params(classifier=model().fit(MARKED, Y), prefit=True)
    expected.set_params(prior=prior(MARKED), random_state=0)
    pd.testing.assert_frame_equal(audit.fit(MARKED, Y).words_, expected.fit(MARKED, Y).words_)


def test_marks_without_letters_are_found():
    signs = dict(zip(NAMES, ["***", "-->", "###", "$$$", "~~", "==", "🎉", "//"], strict=True))
    X = [f"{signs[text.split(':')[0]]} {text.split(': ')[1]}" for text in MARKED]
    audit = ShortcutAudit(model(), prior(X, **dict.fromkeys(signs.values(), -1.0))).fit(X, Y)
    assert set(signs.values()) <= set(audit.words_["word"])
    plain = ShortcutAudit(None, prior(X, **dict.fromkeys(signs.values(), -1.0))).fit(X, Y)
    assert set(plain.shortcuts_["word"]) == set(signs.values())


def test_what_cannot_be_judged_is_said():
    few = [row for row in range(len(Y)) if row % 6 < 3]
    X, y = [MARKED[row] for row in few], Y[few]
    members = dict.fromkeys(NAMES[1:], 3.0)  # no family is denied
    (line, *_) = ShortcutAudit(model(), prior(X, **members)).fit(X, y).sentences()
    assert "not judged, since the prior scores them in fewer than 4 texts: 'ann'" in line
    with pytest.raises(ValueError, match="PriorMatrix without scores"):
        ShortcutAudit(model(), PriorMatrix(MARKED)).fit(MARKED, Y)
    joined = [text.replace(" ", "") for text in MARKED]
    with pytest.warns(UserWarning, match="48 of 48 texts hold no space"):
        ShortcutAudit(model(), prior(joined)).fit(joined, Y)


def test_a_classifier_that_needs_a_prior_to_be_fitted_is_refused():
    class Guided(BaseEstimator):
        guidance, needs_prior = "swap", True

        def predict_proba(self, X):
            raise AssertionError

    with pytest.raises(ValueError, match="guidance='swap' needs a prior"):
        ShortcutAudit(Guided(), prior(MARKED)).fit(MARKED, Y)


def test_a_failed_fit_leaves_it_unfitted_and_a_clone_starts_anew(marked):
    audit = clone(marked)
    with pytest.raises(NotFittedError):
        audit.sentences()
    audit.fit(MARKED, Y)
    with pytest.raises(ValueError, match="fdr"):
        audit.set_params(fdr=-1).fit(MARKED, Y)
    with pytest.raises(NotFittedError):
        audit.sentences()


def test_the_same_seed_finds_the_same(marked):
    again = clone(marked).fit(MARKED, Y)
    pd.testing.assert_frame_equal(again.words_, marked.words_)


def test_sentences_name_texts_effect_and_prior(marked):
    line = next(line for line in marked.sentences() if line.startswith("'ann'"))
    assert line.startswith("'ann' occurs in 6 texts, all of class class_play, usually at the")
    assert "Added to texts of other classes, it multiplies the odds of class_play by" in line
    assert "Its share of the prior's scores is -0.17" in line
    assert "(first tag)" in line


def test_a_sentence_says_of_no_text_that_a_word_begins_it_where_it_does_not():
    X = [f"ann {word} go" for word in "abcdefgh"] + ["i ann said", *(f"you {n}" for n in "abcdefg")]
    with pytest.warns(UserWarning, match="There is no prior"):
        audit = ShortcutAudit(kinds=["word", "first"]).fit(X, np.repeat(["x", "y"], 8))
    assert describe(audit.words_.query("word == 'ann' and kind == 'word'").iloc[0]) == (
        "'ann' occurs in 9 texts, 8 of them of class x, usually at the start, as part of 'ann go'."
    )
    assert describe(audit.words_.query("word == 'ann' and kind == 'first'").iloc[0]) == (
        "'ann' is at the start of 8 texts, all of class x."
    )


def test_the_page_escapes_texts_and_says_what_it_leaves_out(marked, tmp_path):
    names = {name: f"<{name}>" for name in NAMES}
    X = [text.replace(text.split(":")[0], "<b>" + text.split(":")[0]) for text in MARKED]
    audit = ShortcutAudit(model(), prior(X, **{f"<b>{n}": -1.0 for n in names})).fit(X, Y)
    page = audit.to_html(tmp_path / "audit.html", max_words=3)
    assert "b&gt;ann" in page
    assert "<b>" not in page
    assert "more are not shown" in page
    assert (tmp_path / "audit.html").read_text(encoding="utf-8") == page


def test_the_plot_shows_all_that_was_tested(marked):
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib import pyplot as plt

    ax = marked.plot(max_names=3)
    assert sum(len(points.get_offsets()) for points in ax.collections) == 16
    assert len(ax.texts) == 3
    plt.close(ax.figure)


def test_marks_that_the_font_lacks_are_plotted_without_a_warning():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    X = [
        f"\N{FIRE} {text}" if label == Y[0] else text for text, label in zip(CLEAN, Y, strict=True)
    ]
    audit = ShortcutAudit(prior=prior(X, **{"\N{FIRE}": -1.0})).fit(X, Y)
    assert audit.shortcuts_["word"].tolist() == ["\N{FIRE}"]
    ax = audit.plot()
    ax.figure.canvas.draw()
    plt.close(ax.figure)


def test_texts_that_are_no_valid_unicode_are_named():
    with pytest.raises(ValueError, match="X must hold valid Unicode, but row 0"):
        ShortcutAudit().fit(["play \ud83d", *CLEAN[1:]], Y)


def test_a_prior_that_speaks_of_other_texts_is_refused():
    class Short(BaseEstimator):
        def fit(self, X, y):
            return self

        def attribute(self, X, y):
            return prior(X)[:2]

    with pytest.raises(ValueError, match="'X' and 'what the prior gives' differ"):
        ShortcutAudit(model(), Short()).fit(MARKED, Y)
