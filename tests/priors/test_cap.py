import json
import pickle
import warnings
from typing import ClassVar

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline

from skcap import CAPPriorTransformer, FakeLLM, PriorMatrix, TransformersLLM
from skcap.llm import BaseLLM, PromptTooLongError, loading, release_models
from skcap.priors import PAPER_FORM, HybridPrior, LimePriorTransformer
from skcap.priors.masks import apply_mask, draw_masks
from skcap.utils import progress
from skcap.utils.cache import PriorCache
from skcap.utils.seeds import content_seed

TEXTS = [
    "please cancel the alarm now",
    "wake me up at seven",
    "stop the alarm",
    "alarm at nine",
    "turn it off, will you",
    "set one for ten",
]
LABELS = ["cancel_alarm", "set_alarm"] * 3
AFFINITIES = {
    "cancel": {"cancel alarm": 3.0, "set alarm": -1.0},
    "wake": {"set alarm": 3.0},
    "alarm": {"cancel alarm": 0.5, "set alarm": 0.5},
}


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log.jsonl"


@pytest.fixture
def make(tmp_path, log):
    def make_prior(**parameters):
        llm = FakeLLM(log_path=log)
        defaults = {"llm": llm, "n_masks": 6, "cache": tmp_path / "cache"}
        return CAPPriorTransformer(**{**defaults, **parameters})

    return make_prior


def scored(log):
    """Bodies and continuations that the model was asked for."""
    if not log.exists():
        return []
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return [(row["body"], row["continuation"]) for row in rows]


class RecordingLLM(BaseLLM):
    """Keeps the prompts of this process, and answers by a given function of the body."""

    prompts: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, answer=None, name="recording"):
        self.answer = answer
        self.name = name

    def log_likelihood(self, bodies, continuations, *, prefix="", suffix=""):
        pairs = zip(bodies, continuations, strict=True)
        self.prompts.extend((prefix + body + suffix, name) for body, name in pairs)
        return np.array([self.answer(body) if self.answer else -1.0 for body in bodies])

    def fingerprint(self):
        return self.name


@pytest.fixture(autouse=True)
def _no_prompts():
    RecordingLLM.prompts.clear()


# -- the method -----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["neg_inverse_log", "log_prob", "prob"])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_is_the_method_written_out(target, fit_intercept):
    llm = FakeLLM()
    prior = CAPPriorTransformer(
        llm, n_masks=10, alpha=0.7, target=target, fit_intercept=fit_intercept, cache=False
    )
    matrix = prior.fit_transform(TEXTS, LABELS)
    for text, label, scores in zip(TEXTS, LABELS, matrix.scores, strict=True):
        name = label.replace("_", " ")
        words = text.split()
        masks = draw_masks(len(words), 10, content_seed(0, text, name))
        variants = [apply_mask(words, mask) for mask in masks]
        log_p = llm.log_likelihood(variants, [name] * len(variants))
        z = {"neg_inverse_log": -1 / log_p, "log_prob": log_p, "prob": np.exp(log_p)}[target]
        M = masks.astype(float)
        if fit_intercept:
            M, z = M - M.mean(0), z - z.mean()
        expected = np.linalg.solve(M.T @ M + 0.7 * np.eye(len(words)), M.T @ z)
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


class ManyLLM(RecordingLLM):
    """Takes about 200 words at once, and keeps how many prompts each call had."""

    calls: ClassVar[list[int]] = []

    def log_likelihood(self, bodies, continuations, **frame):
        self.calls.append(len(bodies))
        return super().log_likelihood(bodies, continuations, **frame)

    def tokens_at_once(self):
        return 200


@pytest.mark.parametrize("n_rivals", [0, 2])
def test_texts_asked_about_together_score_as_alone(tmp_path, n_rivals):
    def answer(body):
        return -float(content_seed(0, body) % 97) - 1

    texts, labels = [*TEXTS, "", TEXTS[0]], ["cancel_alarm", "set_alarm", "query_alarm"] * 3
    labels = labels[: len(texts)]
    parameters = {"template": "{labels} {text}", "n_masks": 4, "n_rivals": n_rivals}
    scores = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the text without words
        for kind in (RecordingLLM, ManyLLM):
            ManyLLM.calls.clear()
            prior = CAPPriorTransformer(kind(answer), cache=tmp_path / kind.__name__, **parameters)
            scores.append(prior.fit_transform(texts, labels).scores)
    for one, other in zip(*scores, strict=True):
        np.testing.assert_array_equal(one, other)
    assert 1 < len(ManyLLM.calls) < len(texts)


def test_default_is_the_form_that_did_best_and_the_papers_has_a_name():
    parameters = CAPPriorTransformer().get_params()
    assert parameters["target"] == "log_prob"
    assert parameters["fit_intercept"] is True
    assert PAPER_FORM == {"target": "neg_inverse_log", "fit_intercept": False}


def test_rivals_are_compared_with():
    llm, labels = FakeLLM(), ["cancel_alarm", "set_alarm", "query_alarm"] * 2
    names = ["cancel alarm", "query alarm", "set alarm"]
    matrix = CAPPriorTransformer(llm, n_masks=10, n_rivals=2, cache=False).fit_transform(
        TEXTS, labels
    )
    for text, label, scores in zip(TEXTS, labels, matrix.scores, strict=True):
        name = label.replace("_", " ")
        masks = draw_masks(len(text.split()), 10, content_seed(0, text, name))
        variants = [apply_mask(text.split(), mask) for mask in masks]
        log_p = {n: llm.log_likelihood(variants, [n] * len(variants)) for n in names}
        z = log_p.pop(name) - np.mean(list(log_p.values()), axis=0)  # both others: that is all
        M, z = masks - masks.mean(0), z - z.mean()
        expected = np.linalg.solve(M.T @ M + np.eye(M.shape[1]), M.T @ z)
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


def test_a_word_that_makes_any_answer_likelier_speaks_for_none():
    every = {"cancel alarm": 2.0, "set alarm": 2.0}
    llm = FakeLLM({"please": every, "cancel": {"cancel alarm": 1.0}})
    text, other = ["please cancel it"], ["now"]
    scores = [
        CAPPriorTransformer(llm, n_rivals=n_rivals, cache=False)
        .fit_transform(text + other, LABELS[:2])
        .scores[0]
        for n_rivals in (0, 1)
    ]
    assert scores[0].argmax() == 0
    assert scores[1].argmax() == 1


def test_rivals_are_drawn_for_each_text_and_the_same_again():
    labels = [f"label_{number}" for number in range(6)]
    prior = CAPPriorTransformer(RecordingLLM(), n_masks=0, n_rivals=2, cache=False)
    matrix = prior.fit_transform(TEXTS, labels)
    asked = {}
    for prompt, name in RecordingLLM.prompts:
        asked.setdefault(prompt, set()).add(name)
    assert {len(names) for names in asked.values()} == {3}
    assert len({tuple(sorted(names)) for names in asked.values()}) > 2
    assert prior.fit_transform(TEXTS, labels) == matrix


def test_rivals_take_part_in_the_check_of_lengths(make, log):
    labels = ["short", "a_label_of_so_many_words_that_the_prompt_is_longer_by_all_of_them"]
    own = make(llm=FakeLLM(context_length=45, log_path=log)).fit(TEXTS[:2], labels)
    own.attribute(TEXTS[:1], labels[:1])
    with pytest.raises(PromptTooLongError):
        own.set_params(n_rivals=1).attribute(TEXTS[:1], labels[:1])


def test_words_that_tell_the_label_from_its_rivals_score_highest():
    prior = CAPPriorTransformer(FakeLLM(AFFINITIES), cache=False)
    matrix = prior.fit_transform(TEXTS[:2], LABELS[:2])
    assert [r.words[r.scores.argmax()] for r in matrix] == ["cancel", "wake"]


def test_probabilities_near_one_count_as_99_percent():
    llm = RecordingLLM(lambda _: -1e-9)
    prior = CAPPriorTransformer(llm, n_masks=0, alpha=1.0, cache=False, **PAPER_FORM)
    (scores,) = prior.fit_transform(["a b"], ["x"]).scores
    # Both variants have z = 100; each word stands in one of them: (1 + 1) a = 100.
    np.testing.assert_allclose(scores, [50, 50])
    prior.set_params(llm=RecordingLLM(lambda _: -0.01))
    np.testing.assert_allclose(prior.fit_transform(["a b"], ["x"]).scores, [[50, 50]])
    prior.set_params(llm=RecordingLLM(lambda _: -0.02))
    np.testing.assert_allclose(prior.fit_transform(["a b"], ["x"]).scores, [[25, 25]])


def test_prompt_shows_instruction_labels_and_text():
    prior = CAPPriorTransformer(RecordingLLM(), n_masks=0, instruction="Choose.", cache=False)
    prior.fit_transform(["wake up {now}", "b c"], ["set_alarm", "cancel_alarm"])
    assert RecordingLLM.prompts[0] == (
        "Choose.\n\nLabels: cancel alarm, set alarm\n\nText: up {now}\nLabel:",
        "set alarm",
    )


def test_provenance_says_how_the_scores_were_made():
    prior = CAPPriorTransformer(RecordingLLM(), n_masks=3, alpha=2, cache=False, random_state=7)
    provenance = prior.fit_transform(["a b"], ["x"]).provenance
    prefix = "Classify the text. Answer with one of the labels and nothing else.\n\nLabels: x"
    assert provenance == {
        "source": "cap",
        "llm": "recording",
        "prompt": prefix + "\n\nText: {text}\nLabel:",
        "random_state": 7,
        "n_masks": 3,
        "alpha": 2.0,
        "fit_intercept": True,
        "target": "log_prob",
    }


# -- unusual texts --------------------------------------------------------------------------------


def test_texts_of_one_word_are_scored_whole_and_empty(make, log):
    (scores,) = make(alpha=1.0).fit_transform(["stop"], ["cancel"]).scores
    assert scored(log) == [("stop", "cancel"), ("", "cancel")]
    whole, empty = FakeLLM().log_likelihood(["stop", ""], ["cancel"] * 2)
    # Centred, the mask is a half either way: (1/2 + 1) a = (whole - empty) / 2.
    np.testing.assert_allclose(scores, (whole - empty) / 3, rtol=1e-6)
    (scores,) = make(alpha=1.0, fit_intercept=False).fit_transform(["stop"], ["cancel"]).scores
    np.testing.assert_allclose(scores, whole / 2)


def test_texts_of_two_words(make, log):
    (scores,) = make().fit_transform(["stop it"], ["cancel"]).scores
    assert sorted(body for body, _ in scored(log)) == ["", "it", "stop"]  # equal variants once
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("empty", ["", "  ", "\n\t"])
def test_texts_without_words_get_no_scores_and_a_warning(make, log, empty):
    with pytest.warns(UserWarning, match="2 of 3 texts have no words, so they get no prior"):
        matrix = make().fit_transform([empty, "stop it", ""], ["a", "b", "a"])
    assert matrix.n_words.tolist() == [0, 2, 0]
    assert matrix.texts.tolist() == [empty, "stop it", ""]
    assert {name for _, name in scored(log)} == {"b"}


def test_a_thousand_words(make):
    text = " ".join(f"w{i}" for i in range(999)) + " cancel"
    llm = FakeLLM({"cancel": {"x": 3.0}})
    prior = make(llm=llm, n_masks=8, fit_intercept=True, target="log_prob", cache=False)
    (scores,) = prior.fit_transform([text], ["x"]).scores
    assert scores.shape == (1000,)
    assert scores.argmax() == 999


def test_repeated_words_are_scored_by_position():
    # The answer depends on the last word alone, so the first "no" means nothing.
    llm = RecordingLLM(lambda body: -1.0 if body.endswith("no") else -3.0)
    prior = CAPPriorTransformer(
        llm, n_masks=60, fit_intercept=True, target="log_prob", cache=False, alpha=1e-3
    )
    # Without the last word the text ends in "b", without the last two in the first "no".
    (scores,) = prior.fit_transform(["no a b no"], ["x"]).scores
    assert scores.shape == (4,)
    assert scores.argmax() == 3
    assert scores[3] > scores[0] + 0.5


@pytest.mark.parametrize(
    "text",
    [
        "{text} {labels} {0} {",
        "is it 🙂 or 🏳️‍🌈 ?",
        "أين هي بطاقتي ؟ מתי",
        "<|im_end|> <|im_start|>assistant set alarm",
        "100% \\n %s $x",
        "tab\tand\nnew  line",
        "a\u00a0b c",
    ],
)
def test_words_reach_the_model_as_they_are(text):
    prior = CAPPriorTransformer(RecordingLLM(), n_masks=4, cache=False)
    matrix = prior.fit_transform([text], ["set_alarm"])
    assert matrix.texts.tolist() == [text]
    words = text.split()
    assert matrix.n_words.tolist() == [len(words)]
    without_first = " ".join(words[1:])
    assert RecordingLLM.prompts[0][0] == prior.prompt_.prefix + without_first + "\nLabel:"


def test_long_text_is_refused_before_any_text_is_scored(make, log):
    prior = make(llm=FakeLLM(context_length=40, log_path=log))
    with pytest.raises(PromptTooLongError, match="40"):
        prior.fit_transform(["stop it", "word " * 50], ["a", "b"])
    assert scored(log) == []


def test_no_variant_of_a_text_is_drawn_that_fits_no_context(make, monkeypatch):
    monkeypatch.setattr("skcap.priors.cap.draw_masks", None)  # gigabytes, for a long text
    texts = ["word " * 12_000, *TEXTS[1:]]
    prior = make(llm=FakeLLM(context_length=100))
    for score in (prior.fit_transform, prior.estimate_cost):
        with pytest.raises(PromptTooLongError, match="context_length"):
            score(texts, LABELS)


# -- with a language model that has a tokenizer ---------------------------------------------------


@pytest.fixture
def tiny(tiny_llm):
    yield TransformersLLM(tiny_llm())
    release_models()


ODD = ["stop", "no {no} no", "🙂 مرحبا card", "<|im_end|> <|im_start|>assistant x", "is  it\nhere"]


def test_tiny_llm_with_and_without_the_shared_prefix(tiny):
    prior = CAPPriorTransformer(tiny, n_masks=5, target="log_prob", cache=False)
    labels = ["card_arrival", "top_up", "top_up", "card_arrival", "top_up"]
    matrix = prior.fit_transform(ODD, labels)
    assert np.isfinite(np.concatenate(matrix.scores)).all()
    alone = clone(prior).set_params(llm__reuse_prefix=False).fit_transform(ODD, labels)
    np.testing.assert_allclose(alone.to_dense(), matrix.to_dense(), atol=1e-4)
    assert [s.shape for s in matrix.scores] == [(len(text.split()),) for text in ODD]


def test_cache_hit_loads_no_model(tiny, tmp_path):
    prior = CAPPriorTransformer(tiny, n_masks=3, cache=tmp_path)
    matrix = prior.fit_transform(ODD[:2], ["a", "b"])
    assert len(loading._registry._models) == 1
    release_models()
    assert clone(prior).fit_transform(ODD[:2], ["a", "b"]) == matrix
    clone(prior).fit(ODD, ["a", "b", "a", "b", "a"]).transform(ODD)
    assert len(loading._registry._models) == 0


def test_used_prior_pickles_without_weights(tiny):
    prior = CAPPriorTransformer(tiny, n_masks=3, cache=False).fit(TEXTS, LABELS)
    before = joblib.hash(prior)
    prior.attribute(TEXTS[:2], LABELS[:2])
    assert joblib.hash(prior) == before
    assert len(pickle.dumps(prior)) < 5000


# -- independence of everything else --------------------------------------------------------------


def test_prior_of_a_text_is_the_same_in_any_company(make):
    whole = make(cache=False).fit_transform(TEXTS, LABELS)
    rng = np.random.default_rng(0)
    prior = make(cache=False).fit(TEXTS, LABELS)
    for _ in range(10):
        rows = rng.integers(0, len(TEXTS), rng.integers(1, 9))
        part = prior.attribute([TEXTS[r] for r in rows], [LABELS[r] for r in rows])
        for r, scores in zip(rows, part.scores, strict=True):
            np.testing.assert_allclose(scores, whole.scores[r], rtol=1e-6)
    # A neighbour of another length changes the padding, and nothing else.
    longer = prior.attribute([TEXTS[0], "long " * 80], [LABELS[0], LABELS[1]])
    np.testing.assert_allclose(longer.scores[0], whole.scores[0], rtol=1e-6)


def test_equal_texts_of_equal_labels_get_equal_scores_and_are_asked_once(make, log):
    matrix = make().fit_transform(["a b c"] * 3, ["x", "x", "y"])
    assert (matrix.scores[0] == matrix.scores[1]).all()
    assert (matrix.scores[0] != matrix.scores[2]).any()
    assert len(scored(log)) == len(set(scored(log)))


def test_label_space_is_part_of_the_prompt(make):
    texts, labels = [*TEXTS, "play jazz"], [*LABELS, "play_music"]
    two, three = make().fit(TEXTS, LABELS), make().fit(texts, labels)
    assert two.prompt_.prefix.replace("cancel alarm, set", "cancel alarm, play music, set") == (
        three.prompt_.prefix
    )


@pytest.mark.parametrize("n_jobs", [2, -1])
def test_processes_change_nothing(make, log, n_jobs):
    expected = make(cache=False).fit_transform(TEXTS, LABELS)
    n_scored = len(scored(log))
    assert make(n_jobs=n_jobs).fit_transform(TEXTS, LABELS) == expected
    assert len(scored(log)) == 2 * n_scored


# -- random states --------------------------------------------------------------------------------


def test_random_state(make):
    long = ["a b c d e f g h i"], ["x"]
    default, same, other = (
        make(random_state=state).fit_transform(*long) for state in (0, np.int64(0), 1)
    )
    assert default == same
    assert (default.scores[0] != other.scores[0]).any()


def test_random_state_none_draws_anew_and_misses_the_cache(make, log):
    prior = make(random_state=None)
    first, second = (prior.fit_transform(TEXTS, LABELS) for _ in range(2))
    assert first != second
    n_scored = len(scored(log))
    assert prior.attribute(TEXTS, LABELS) == second  # the masks are drawn in fit
    assert len(scored(log)) == n_scored


def test_random_state_instance_goes_on(make):
    first, again = (
        make(random_state=np.random.RandomState(3)).fit(TEXTS, LABELS).seed_ for _ in range(2)
    )
    assert first == again
    prior = make(random_state=np.random.RandomState(3))
    assert prior.fit(TEXTS, LABELS).seed_ != prior.fit(TEXTS, LABELS).seed_


# -- the cache ------------------------------------------------------------------------------------


def test_solving_parameters_cost_no_call(make, log):
    make().fit_transform(TEXTS, LABELS)
    n_scored = len(scored(log))
    assert n_scored > 0
    seen = set()
    for target in ("neg_inverse_log", "log_prob", "prob"):
        for alpha in (0.1, 10):
            for fit_intercept in (False, True):
                prior = make(target=target, alpha=alpha, fit_intercept=fit_intercept)
                seen.add(tuple(prior.fit_transform(TEXTS, LABELS).scores[0]))
    assert len(seen) == 12
    prior = make().fit(TEXTS, LABELS)
    assert prior.set_params(alpha=0.1).attribute(TEXTS, LABELS).scores[0].tolist() in map(
        list, seen
    )
    assert len(scored(log)) == n_scored


@pytest.mark.parametrize(
    "change",
    [
        {"instruction": "Other."},
        {"template": "{labels} {text} ="},
        {"n_masks": 7},
        {"n_rivals": 1},
        {"random_state": 1},
        {"label_names": str.upper},
        {"llm__random_state": 1},
    ],
)
def test_what_changes_the_evidence_is_asked_anew(make, log, change):
    make().fit_transform(TEXTS, LABELS)
    n_scored = len(scored(log))
    make().set_params(**change).fit_transform(TEXTS, LABELS)
    assert len(scored(log)) > n_scored


def test_error_in_the_middle_keeps_what_was_scored(tmp_path):
    def answer(body):
        if "off," in body:
            raise ConnectionError("gone")
        return -1.0

    prior = CAPPriorTransformer(RecordingLLM(answer), n_masks=4, cache=tmp_path)
    with pytest.raises(ConnectionError, match="gone"):
        prior.fit_transform(TEXTS, LABELS)  # the fifth text fails
    RecordingLLM.prompts.clear()
    prior.set_params(llm=RecordingLLM()).fit_transform(TEXTS, LABELS)
    asked = " ".join(prompt for prompt, _ in RecordingLLM.prompts)
    for text in TEXTS[4:]:
        assert text.split()[-1] in asked
    for text in TEXTS[:4]:
        assert text.split()[-1] + "\nLabel" not in asked


def test_each_cached_entry_is_read_once(make, monkeypatch):
    make().fit_transform(TEXTS, LABELS)
    read = []
    get = PriorCache.get
    monkeypatch.setattr(PriorCache, "get", lambda self, key: read.append(key) or get(self, key))
    make().fit_transform(TEXTS, LABELS)
    assert len(read) == len(set(read)) == len(TEXTS)


class Interrupted(FakeLLM):
    """Ctrl-C comes while the model scores the text with a given word."""

    def log_likelihood(self, bodies, continuations, *, prefix="", suffix=""):
        if any("nine" in body for body in bodies):
            raise KeyboardInterrupt
        return super().log_likelihood(bodies, continuations, prefix=prefix, suffix=suffix)


@pytest.mark.parametrize(
    "prior",
    [
        CAPPriorTransformer(n_masks=4),
        LimePriorTransformer(num_samples=10),
        HybridPrior([("cap", CAPPriorTransformer(n_masks=4))]),
    ],
    ids=lambda prior: type(prior).__name__,
)
def test_an_interrupt_leaves_as_one_and_keeps_finished_texts_only(prior, tmp_path):
    cache = PriorCache(tmp_path)
    settings = {"llm": Interrupted(), "cache": cache}
    names = prior.get_params()
    prior = clone(prior).set_params(
        **{name if name in names else f"cap__{name}": value for name, value in settings.items()}
    )
    with pytest.raises(KeyboardInterrupt):
        prior.fit_transform(TEXTS, LABELS)  # the fourth text
    assert len(cache) == 3
    with pytest.raises(NotFittedError):
        prior.transform(TEXTS)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_nan_is_refused_and_not_kept(tmp_path, value):
    prior = CAPPriorTransformer(RecordingLLM(lambda _: value), cache=tmp_path)
    with pytest.raises(FloatingPointError, match=r"log-likelihood (nan|-inf) for the label 'x'"):
        prior.fit_transform(["a b"], ["x"])
    assert prior.set_params(llm=RecordingLLM()).fit_transform(["a b"], ["x"]).has_scores


# -- errors and warnings --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_masks": -1}, ValueError, "'n_masks' parameter of CAPPriorTransformer must be an int"),
        ({"n_masks": 2.0}, ValueError, "'n_masks' parameter"),
        ({"n_rivals": -1}, ValueError, "'n_rivals' parameter"),
        ({"n_rivals": 2, "target": "prob"}, ValueError, "Set target='log_prob', or n_rivals=0"),
        ({"alpha": 0}, ValueError, "'alpha' parameter .* Got 0 instead"),
        ({"alpha": np.inf}, ValueError, "'alpha' parameter"),
        ({"alpha": "1"}, ValueError, "'alpha' parameter"),
        ({"target": "logp"}, ValueError, r"'target' parameter .* Got 'logp' instead"),
        ({"template": "{text}"}, ValueError, r"template must hold \{labels\} at least once"),
        ({"instruction": None}, TypeError, "'instruction' parameter"),
        ({"label_names": {"a": "b"}}, ValueError, "label_names lacks 2 of the 2 classes"),
        ({"label_names": ["b"]}, ValueError, "one name for each of the 2 classes"),
        ({"cache": 3}, TypeError, "'cache' parameter"),
        ({"llm": 3}, TypeError, "llm must be the name of a model"),
        ({"random_state": "x"}, ValueError, "'random_state' parameter"),
    ],
)
def test_bad_parameters_are_refused_in_fit(make, parameters, error, message):
    with pytest.raises(error, match=message):
        make(**parameters).fit(TEXTS, LABELS)


def test_parameters_set_after_fit_are_checked(make):
    prior = make().fit(TEXTS, LABELS).set_params(alpha=-1)
    with pytest.raises(ValueError, match=r"'alpha' parameter .* Got -1 instead"):
        prior.attribute(TEXTS, LABELS)


def test_lone_surrogates_are_named_with_their_row(make, log):
    prior = make().fit(TEXTS, LABELS)
    message = r"X must hold valid Unicode, but row 1 holds the lone surrogate .* Repair it"
    for call in (prior.attribute, prior.fit_transform):
        with pytest.raises(ValueError, match=message):
            call(["stop", "a \ud83d"], LABELS[:2])
    assert scored(log) == []


def test_numeric_labels_are_warned_of_unless_named(make):
    with pytest.warns(UserWarning, match=r"answers such as '0'\. Say what they mean"):
        make().fit(["a", "b"], [0, 1])
    named = make(label_names={0: "no", 1: "yes"}).fit(["a", "b"], [0, 1])
    assert named.label_names_ == ["no", "yes"]


@pytest.mark.parametrize("names", [lambda label: label[::-1], ["zyx"], {"xyz": "zyx"}])
def test_label_names_may_be_a_callable_a_list_or_a_mapping(make, log, names):
    make(label_names=names).fit_transform(["a b"], ["xyz"])
    assert {name for _, name in scored(log)} == {"zyx"}


# -- as a part of scikit-learn --------------------------------------------------------------------


def test_fit_and_transform_call_no_model(make, log):
    make().fit(TEXTS, LABELS).transform([*TEXTS, "", "new"])
    assert scored(log) == []


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_progress_goes_to_stderr(make, capfd, monkeypatch, n_jobs):
    monkeypatch.setattr(progress, "_DELAY", 0.0)
    monkeypatch.setattr(progress, "_can_draw", lambda: True)
    make(verbose=1, n_jobs=n_jobs).fit_transform(TEXTS, LABELS)
    out, err = capfd.readouterr()
    assert out == ""
    assert "cap: 100%" in err
    assert f"{len(TEXTS)}/{len(TEXTS)}" in err
    assert "text/s" in err
    make(verbose=0).fit_transform(TEXTS, LABELS)
    assert capfd.readouterr() == ("", "")


class FirstClass(ClassifierMixin, BaseEstimator):
    """Stands for a classifier that trains on priors."""

    def fit(self, X, y):
        assert isinstance(X, PriorMatrix)
        assert X.has_scores
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        assert not X.has_scores
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_asks_for_each_text_once(make, log, n_jobs):
    pipe = Pipeline([("prior", make()), ("clf", FirstClass())])
    grid = {"prior__target": ["neg_inverse_log", "log_prob"], "prior__alpha": [0.1, 1.0]}
    search = GridSearchCV(pipe, grid, cv=StratifiedKFold(3), n_jobs=n_jobs, error_score="raise")
    search.fit(TEXTS, LABELS)
    asked = scored(log)
    assert len(asked) == len(set(asked))
    prior = make(cache=False, llm=FakeLLM(log_path=log.with_name("once")))
    prior.fit_transform(TEXTS, LABELS)
    assert set(asked) == set(scored(log.with_name("once")))
    n_asked = len(asked)
    search.predict(TEXTS)
    assert len(scored(log)) == n_asked


def test_nested_parameters_clone_and_hash(make):
    prior = make(llm=FakeLLM(), cache=False)
    assert clone(prior).get_params(deep=False).keys() == prior.get_params(deep=False).keys()
    assert joblib.hash(clone(prior)) == joblib.hash(prior)
    assert prior.set_params(llm__random_state=3).llm.random_state == 3
    assert clone(prior).llm.random_state == 3


def test_default_cache_is_the_users_folder(monkeypatch, tmp_path, log):
    monkeypatch.setenv("SKCAP_CACHE", str(tmp_path / "user"))
    for _ in range(2):
        CAPPriorTransformer(FakeLLM(log_path=log), n_masks=2).fit_transform(["a b"], ["x"])
    assert (tmp_path / "user" / "priors").is_dir()
    assert len(scored(log)) == 3  # two words, and nothing


class Spoiling(BaseLLM):
    """Answers with a function of what it should answer."""

    def __init__(self, spoil=None):
        self.spoil = spoil

    def log_likelihood(self, bodies, continuations, *, prefix="", suffix=""):
        return self.spoil(np.full(len(bodies), -1.0))

    def fingerprint(self):
        return "spoiling"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda scores: np.repeat(scores, 2),
        lambda scores: scores[1:],
        lambda scores: scores[:, None],
        lambda scores: -scores,
    ],
)
def test_a_model_of_your_own_must_give_one_number_for_each_pair(spoil):
    llm = Spoiling(spoil)
    with pytest.raises(ValueError, match=r"Spoiling.log_likelihood must give one number"):
        CAPPriorTransformer(llm, cache=False).fit_transform(["a b"], ["c"])


def test_a_model_of_your_own_may_give_a_list():
    prior = CAPPriorTransformer(Spoiling(list), cache=False)
    assert prior.fit_transform(["a b"], ["c"])[0].scores.tolist() == [0, 0]
