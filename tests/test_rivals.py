"""The methods that guidance is compared with: each learns, and does what its paper says."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from keyword_task import KEYWORDS, LABELS, NEW_LABELS, NEW_TEXTS, PRIOR, TEXTS, step_of

from benchmarks._intents import dataset_name
from benchmarks.natural import planted, robust, scope, sets
from benchmarks.natural.methods import METHODS, PLAIN, TUNED, data_for, defaults
from benchmarks.natural.methods import make as make_method
from benchmarks.natural.methods.experts import ProductOfExperts, bias_of, complement
from benchmarks.natural.methods.keywords import by_attention, by_frequency
from benchmarks.natural.methods.masker import MaskedKeywords
from benchmarks.natural.methods.unirex import RationaleMargins
from benchmarks.natural.study import Run, Study, choose
from benchmarks.natural.table import Columns, interval, spread
from benchmarks.paper.draws import Draw, make_draw
from skcap import CAPPriorTransformer, FakeLLM
from skcap.guidance import Task
from skcap.prior_matrix import PriorMatrix

QUICK = {"max_epochs": 6, "batch_size": 16, "lr": 0.01, "head_lr": 0.01, "label_weight": 0}
CODES = np.searchsorted(KEYWORDS, LABELS)
# A name that goes with the class, and that the prior says nothing good of.
NAMES = dict(zip(KEYWORDS, ("ann", "bob", "eve"), strict=True))
MARKED = [f"{NAMES[label]} {text}" for label, text in zip(LABELS, TEXTS, strict=True)]
MARKED_PRIOR = PriorMatrix(MARKED, [np.append(-1.0, scores) for scores in PRIOR.scores])


@pytest.fixture
def build(tiny_model: Callable[..., str]) -> Callable[..., Any]:
    def build(method: str, parameters: dict[str, Any] | None = None) -> Any:
        return make_method(method, 0, parameters, model=tiny_model("bert"), device="cpu", **QUICK)

    return build


@pytest.fixture(scope="session")
def task(plain: Any) -> Task:
    return Task(
        texts=TEXTS,
        codes=CODES,
        classes=plain.classes_,
        priors=list(PRIOR.scores),
        encoded=plain._encode(TEXTS),
        tokenizer=plain.tokenizer_,
        module=plain.net_.module_,
        unguided=lambda: plain,
    )


def no_prior() -> PriorMatrix:
    raise AssertionError("A method without a prior asked for one.")


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("setfit", "probe")])
def test_every_method_learns(method: str, build: Callable[..., Any]) -> None:
    prior = no_prior if method in PLAIN else lambda: PRIOR
    model = build(method, defaults(method)).fit(data_for(method, TEXTS, prior, 0), LABELS)
    assert model.predict_proba(NEW_TEXTS).shape == (30, 3)
    assert np.mean(model.predict(NEW_TEXTS) == NEW_LABELS) > 0.5  # chance: a third


@pytest.mark.filterwarnings("ignore")  # of its own trainer
def test_setfit_learns(build: Callable[..., Any]) -> None:
    pytest.importorskip("setfit")
    model = build("setfit", {"num_iterations": 1}).fit(TEXTS, LABELS)
    assert model.classes_.tolist() == KEYWORDS
    found = model.predict_proba(NEW_TEXTS)
    assert model.predict(NEW_TEXTS).tolist() == model.classes_[found.argmax(axis=1)].tolist()


def test_tuning_budget_is_the_same_for_all_and_holds_the_default() -> None:
    for method, own in TUNED.items():
        assert own.default in own.values
        assert len(own.values) <= 3
        model = make_method(method, 0)
        assert model.get_params()[own.parameter] == own.default


# -- MASKER ---------------------------------------------------------------------------------------


def test_keywords_by_frequency_and_by_attention(task: Task, plain: Any) -> None:
    found = by_frequency(TEXTS, CODES, per_class=1)
    assert found == KEYWORDS
    before = plain.net_.module_.encoder.config._attn_implementation
    attended = by_attention(plain, task.encoded, TEXTS, 4)
    assert len(attended) == 4
    assert set(attended) <= {word for text in TEXTS for word in text.split()}
    assert plain.net_.module_.encoder.config._attn_implementation == before


def masker_step(task: Task, plain: Any, **parameters: Any) -> tuple[MaskedKeywords, Any]:
    guidance = MaskedKeywords(per_class=1, **parameters)
    column = guidance.prepare(task)["keyword"]
    step = step_of(plain, TEXTS[:16], CODES[:16])
    words = torch.tensor(np.array(column[:16]))
    return guidance, replace(step, batch={**step.batch, "keyword": words})


def test_reconstruction_falls_as_the_head_learns(task: Task, plain: Any) -> None:
    torch.manual_seed(0)
    guidance, step = masker_step(task, plain, mask_share=1.0, head_lr=0.05)
    losses = []
    for _ in range(20):
        loss = guidance.reconstruction(step)
        loss.backward()
        guidance._train_head()
        losses.append(loss.item())
    plain.net_.module_.zero_grad()
    assert np.isfinite(losses).all()
    # With all keywords hidden only the fillers are left: nothing to tell, but what was told wrong.
    assert losses[-1] < losses[0]


def test_entropy_is_zero_where_the_prediction_is_uniform(task: Task, plain: Any) -> None:
    torch.manual_seed(0)
    guidance, step = masker_step(task, plain)
    # The keyword stays, and the model goes by it: that is what the loss is against.
    loss = guidance.entropy(step)
    assert loss > 0.3
    head = plain.net_.module_.head
    before = state_of(head)
    try:
        with torch.no_grad():
            head.weight.zero_()
            head.bias.zero_()
        assert guidance.entropy(step).item() == pytest.approx(0, abs=1e-6)
    finally:
        head.load_state_dict(before)


def state_of(module: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_masker_makes_the_model_less_sure_of_keywords_alone(build: Callable[..., Any]) -> None:
    sure = {}
    for weight in (0.001, 3.0):
        model = build("masker_tfidf", {"guidance__weight": weight, "guidance__per_class": 1})
        sure[weight] = model.fit(TEXTS, LABELS).predict_proba(KEYWORDS).max(axis=1).mean()
    assert sure[3.0] < sure[0.001] - 0.1


def test_masker_takes_what_the_audit_flags(build: Callable[..., Any]) -> None:
    model = build("masker_audit").fit(MARKED_PRIOR, LABELS)
    flagged = set(model.audit_.shortcuts_["word"])
    assert flagged == set(NAMES.values())
    assert set(model.guidance_[0].keywords_["word"]) == flagged


# -- product of experts ---------------------------------------------------------------------------


def test_complement_leaves_out_what_the_prior_favours() -> None:
    scores = np.array([0.1, 5.0, np.nan, -1.0])
    assert complement("set the alarm now", scores, 0.3) == "set alarm now"
    assert complement("set the alarm now", scores, 0.7) == "alarm now"


def test_bias_of_a_text_comes_from_other_texts() -> None:
    texts = [f"unique{row}" for row in range(20)]
    codes = np.arange(20) % 2
    log_p = bias_of(texts, codes, 3, n_folds=5)
    assert np.exp(log_p[:, 2]) == pytest.approx(1e-4)
    assert np.exp(log_p[np.arange(20), codes]).max() < 0.7  # a model that had seen them would know


def test_bias_is_not_used_at_prediction(build: Callable[..., Any], task: Task, plain: Any) -> None:
    guidance = ProductOfExperts(share=0.2, strength=2.0)
    module = plain.net_.module_
    row = guidance.prepare(task)["row"]
    step = step_of(plain, TEXTS[:4], CODES[:4])

    def logits() -> torch.Tensor:
        torch.manual_seed(0)  # the same dropout
        return module(step.batch["input_ids"], step.batch["attention_mask"]).detach()

    module.train()
    before = logits()
    words = torch.tensor(np.array(row[:4]))
    words[3] = torch.nan  # as the name of a label
    guidance.change(replace(step, batch={**step.batch, "row": words}))
    both = logits()
    torch.testing.assert_close((both - before)[:3], 2 * guidance.bias_[:3])
    assert torch.equal(both[3], before[3])
    module.eval()
    alone = logits()
    guidance.review(task, plain)
    assert torch.equal(alone, logits())
    module.train()
    assert torch.equal(before, logits())
    module.eval()
    fitted = build("experts").fit(PRIOR, LABELS)
    assert not fitted.net_.module_._forward_hooks


def other(label: str) -> str:
    return KEYWORDS[(KEYWORDS.index(label) + 1) % 3]


def test_experts_withstand_a_shortcut_that_errs_at_times(build: Callable[..., Any]) -> None:
    shown = [label if row % 4 else other(label) for row, label in enumerate(LABELS)]
    texts = [f"{NAMES[label]} {text}" for label, text in zip(shown, TEXTS, strict=True)]
    prior = PriorMatrix(texts, MARKED_PRIOR.scores)
    misleading = [
        f"{NAMES[other(label)]} {text}" for label, text in zip(NEW_LABELS, NEW_TEXTS, strict=True)
    ]
    right = {}
    for method, X, own in (
        ("unguided", texts, {}),
        ("experts", prior, {"guidance__share": 0.2, "guidance__strength": 2.0}),
    ):
        models = [
            build(method, {**own, "max_epochs": 10, "random_state": seed}).fit(X, LABELS)
            for seed in (0, 1)
        ]
        right[method] = np.mean([model.predict(misleading) == NEW_LABELS for model in models])
    assert right["experts"] > right["unguided"] + 0.1


# -- UNIREX ---------------------------------------------------------------------------------------


def test_rationales_grow_and_losses_are_within_their_margins(task: Task, plain: Any) -> None:
    guidance = RationaleMargins(weight=1.0, shares=(0.2, 0.6))
    guidance.prepare(task)
    step = step_of(plain, [*TEXTS[:8], "alarm"], [*CODES[:8], 0])
    (small, large), there = guidance.rationales(step)
    assert small.sum(dim=1).tolist() == [1] * 9
    assert large.sum(dim=1).tolist() == [3] * 8 + [1]
    assert (small <= large).all()
    assert (large <= there).all()
    losses = dict(guidance.losses(step))
    assert set(losses) == set(guidance.parts)
    for loss in losses.values():
        assert torch.isfinite(loss)
        assert loss >= 0
        assert loss.requires_grad


def test_margins_are_met_where_the_rationale_decides(task: Task, plain: Any) -> None:
    """The keyword alone decides: with it as the rationale both losses are small."""
    guidance = RationaleMargins(weight=1.0)
    guidance.prepare(task)
    step = step_of(plain, TEXTS, CODES)
    keyword = torch.tensor(np.array(PRIOR.scores) > 0)
    found = {}
    for name, words in (("keyword", keyword), ("others", ~keyword)):
        found[name] = (
            guidance._margin(step, [~words], -1, 1.0).item(),
            guidance._margin(step, [words], 1, 0.1).item(),
        )
    assert found["keyword"][0] < found["others"][0]
    assert found["keyword"][1] < found["others"][1]


# -- runs, choices and tables ---------------------------------------------------------------------


def line(method: str, value: float, score: float, seed: int = 0, split: str = "valid") -> dict:
    own = TUNED.get(method)
    return {
        "settings": {"set": "a", "method": method, "seed": seed, "split": split}
        | {"parameters": {own.parameter: value} if own else {}},
        "figures": {"accuracy": score},
    }


def test_the_best_value_is_chosen_and_the_default_wins_a_draw() -> None:
    low, middle, high = TUNED["jtt"].values
    jtt = [line("jtt", low, 0.5), line("jtt", middle, 0.9), line("jtt", high, 0.9)]
    afr = [line("afr", TUNED["afr"].values[0], 0.9)]  # not all were tried
    tested = [line("jtt", low, 1.0, split="test")]
    chosen = choose([*jtt, *afr, *tested], lambda figures: figures["accuracy"])
    assert chosen == {"a": {"jtt": {"upweight": middle}}}


def test_runs_are_not_repeated_and_take_what_was_chosen(tmp_path: Path) -> None:
    made = []

    def measure(run: Run) -> dict:
        made.append(run)
        score = 0.5 + run.parameters.get("upweight", 0) / 100 + run.seed / 50
        return {"figures": {"accuracy": score}, "seconds": 0.0}

    study = Study(
        "a", measure, lambda f: f["accuracy"], Columns(("accuracy",), ("accuracy",)), tmp_path
    )
    methods, places = ["unguided", "jtt"], [{"set": "a"}]

    def options(**given: Any) -> argparse.Namespace:
        return argparse.Namespace(
            **{"methods": methods, "seeds": [0, 1], "tune": False, "render": False, **given}
        )

    study.main(places, options())
    assert [run.parameters for run in made] == [{}, {"upweight": 5.0}] * 2
    study.main(places, options())
    assert len(made) == 4
    study.main(places, options(tune=True))
    assert [run.split for run in made[4:]] == ["valid"] * 3
    assert json.loads(study.choices_path.read_text()) == {"a": {"jtt": {"upweight": 20.0}}}
    study.main(places, options())
    assert [run.parameters["upweight"] for run in made[7:]] == [20.0] * 2
    study.main(places, options(render=True))
    page = (tmp_path / "a.md").read_text()
    assert "| jtt | 2 | 20 | 71.0 ± 1.4 | +20.0 |" in page


def test_intervals_over_seeds() -> None:
    assert spread([1.0]) == "1.0"
    assert spread([1.0, 3.0]) == "2.0 ± 1.4"
    assert interval([]) == ""
    assert interval([1.0, 3.0]) == "+2.0 (-10.7 to +14.7)"  # t of one degree of freedom: 12.7


def test_both_studies_measure(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Callable[..., str]
) -> None:
    small = {"model": tiny_model("bert"), "device": "cpu", **QUICK, "max_epochs": 1}
    data = sets.TextSet(TEXTS, LABELS, NEW_TEXTS, NEW_LABELS, {"": ["the"], "far": ["on it"]})
    monkeypatch.setitem(sets.SETS, "small", lambda seed: data)
    cap = CAPPriorTransformer(FakeLLM(), cache=False)
    monkeypatch.setattr(robust, "make_source", lambda name: cap)
    found = scope.measure(Run({"set": "small"}, "unguided", 0, {}), **small)["figures"]
    assert {"accuracy", "ece", "auroc", "auroc, far", "fpr95_energy, far"} <= found.keys()
    assert {"adversarial", "comprehensiveness", "sufficiency"} <= found.keys()
    found = scope.measure(Run({"set": "small"}, "tfidf", 0, {}, "valid"))["figures"]
    assert found.keys() == {"accuracy", "ece"}

    draw = Draw(TEXTS, LABELS, NEW_TEXTS, NEW_LABELS, TEXTS, LABELS)
    monkeypatch.setattr(planted, "make_draw", lambda *_: draw)
    place = {"dataset": "small", "share": 1.0}
    found = planted.measure(Run(place, "unguided", 0, {}), **small)["figures"]
    assert found.keys() == {"same", "none", "misleading"}
    monkeypatch.setattr(planted, "make_source", lambda name: cap)
    found = planted.measure(Run(place, "swap", 0, {}), **small)
    assert found["figures"]["marks"] == 3
    assert found["figures"]["flagged"] == len(found["flagged"])


def test_studies_run_on_a_folder_of_your_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKCAP_DATA", str(tmp_path))
    with pytest.raises(argparse.ArgumentTypeError, match="'tickets' is neither one of hwu64"):
        dataset_name("tickets")
    with pytest.raises(argparse.ArgumentTypeError, match="'tickets' is neither one of hint3"):
        sets.set_name("tickets")
    (tmp_path / "tickets").mkdir()
    rows = {
        "train": "".join(f"refund {n},money\nlogin {n},account\n" for n in range(8)),
        "test": "my refund,money\n",
        "oos_test": "hello,oos\n",
    }
    for name, content in rows.items():
        (tmp_path / "tickets" / f"{name}.csv").write_text(f"text,label\n{content}")

    assert dataset_name("tickets") == sets.set_name("tickets") == "tickets"
    assert sets.set_name("tickets-5") == "tickets-5"
    whole, few = sets.loader_of("tickets")(0), sets.loader_of("tickets-5")(0)
    assert (len(whole.X), len(few.X), few.X_in) == (16, 10, ["my refund"])
    assert few.outside == {"": ["hello"]}
    draws = [make_draw("tickets", 5, seed, "valid") for seed in (0, 1)]
    assert draws[0].X == few.X != draws[1].X
    assert not set(draws[0].X) & set(draws[0].X_eval)
    (tmp_path / "tickets" / "oos_test.csv").unlink()
    assert sets.loader_of("tickets")(0).outside == {}
