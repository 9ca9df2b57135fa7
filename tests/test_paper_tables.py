"""The runner of the paper's tables: controls, keys, and what the tables say of the runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.paper import draws
from benchmarks.paper.agreement import agreement
from benchmarks.paper.cell import Cell, key_of, pack
from benchmarks.paper.draws import Draw
from benchmarks.paper.frozen import _token_weights, few, kept, positive
from benchmarks.paper.hardest import by_row, hardest_texts
from benchmarks.paper.leaving_out import compare
from benchmarks.paper.pool import run_all
from benchmarks.paper.render import (
    by_machine,
    collect,
    contrasts,
    difference,
    draw_differences,
    most_runs,
    page,
    spread,
    text_noise,
)
from benchmarks.paper.settings import ROWS
from benchmarks.paper.shortcut import (
    CHOICES,
    MIXED,
    marks_of,
    others,
    place_of,
    put,
    share_of_mark,
    words_of,
)
from benchmarks.paper.teachers import half, oracle, spoil
from skcap import PriorMatrix
from skcap.metrics import leave_one_out


def run(
    row: str, seed: int, accuracy: float, right: str = "", split: str = "test", **classifier: float
) -> dict:
    return {
        "settings": {
            "dataset": "banking77",
            "row": row,
            "seed": seed,
            "shots": 5,
            "split": split,
            "parameters": {**({"beta": 0} if row == "baseline" else {}), **classifier},
        },
        "figures": {"accuracy": accuracy, "adversarial": accuracy / 2, "addition": 0.3}
        | {"comprehensiveness": 0.7, "sufficiency": 0.1},
        "right": {"accuracy": right} if right else {},
        "environment": {"torch": "2"},
    }


@pytest.fixture
def draw() -> Draw:
    X, y = ["play some jazz", "is it raining", "wake me"], np.array(["music", "weather", "alarm"])
    pool = [*X, "play rock", "raining again", "wake up"]
    return Draw(X, y, X, y, pool, np.array([*y, *y]))


@pytest.mark.parametrize("control", ["shuffled", "random", "uniform"])
def test_controls_keep_texts_and_lose_the_scores(control: str) -> None:
    matrix = PriorMatrix(["one two three four five six"], [[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]])
    spoiled = spoil(matrix, control, seed=1)
    assert spoiled.texts.tolist() == matrix.texts.tolist()
    assert not np.array_equal(spoiled.scores[0], matrix.scores[0])
    kept = np.array_equal(np.sort(spoiled.scores[0]), matrix.scores[0])
    assert kept == (control == "shuffled")
    assert spoil(matrix, control, seed=1) == spoiled


@pytest.mark.parametrize(("which", "kept"), [("surest", [1, 2]), ("least_sure", [0, 2])])
def test_half_of_the_texts_keep_their_priors(which: str, kept: list[int]) -> None:
    matrix = PriorMatrix(["one two", "three", "four"], [[0.1, 0.2], [0.3], [0.4]])
    confidences = np.array([-3.0, -1.0, -2.0])
    halved = half(matrix, confidences, which)
    there = [not np.isnan(scores).any() for scores in halved.scores]
    assert np.flatnonzero(there).tolist() == kept


def test_oracle_knows_the_words_of_a_class(draw: Draw) -> None:
    music, weather, _ = oracle(draw)
    assert music.scores.argmax() == 0  # "play": in both texts about music
    assert weather.scores.argmax() == 2  # "raining"


def test_key_changes_with_every_setting(draw: Draw) -> None:
    cells = [
        Cell("banking77", "cap", 0),
        Cell("banking77", "cap", 1),
        Cell("banking77", "shuffled", 0),
        Cell("banking77", "cap", 0, extra='{"beta": 2.0}'),
        Cell("banking77", "cap", 0, split="valid"),
    ]
    keys = [key_of(cell.settings(draw, "attack"), {}) for cell in cells]
    assert len({*keys}) == len(cells)
    assert key_of(cells[0].settings(draw, "attack"), {}) == keys[0]
    assert key_of(cells[0].settings(draw, "other attack"), {}) != keys[0]
    assert key_of(cells[0].settings(draw, "attack"), {"torch": "3"}) != keys[0]


def test_parameters_of_a_study_come_last_but_unguided_stays_unguided() -> None:
    assert Cell("hwu64", "cap", 0, extra='{"beta": 3}').parameters()["beta"] == 3
    assert Cell("hwu64", "baseline", 0, extra='{"beta": 3}').parameters()["beta"] == 0


def test_differences_are_paired_by_seed() -> None:
    base = {0: run("baseline", 0, 0.80), 1: run("baseline", 1, 0.70)}
    ours = {0: run("cap", 0, 0.82), 1: run("cap", 1, 0.72), 2: run("cap", 2, 0.1)}
    assert difference(ours, base, "accuracy") == "+2.0 (+2.0 to +2.0)"
    assert difference({0: ours[0]}, base, "accuracy") == "+2.0"
    assert difference({5: ours[0]}, base, "accuracy") == ""


def test_the_choice_of_texts_widens_the_interval() -> None:
    rng = np.random.default_rng(0)
    one, other = (pack(rng.random(800) < share) for share in (0.8, 0.7))
    noise = text_noise(run("cap", 0, 0.8, one), run("baseline", 0, 0.7, other), "accuracy")
    # Of independent answers: the root of (0.8 * 0.2 + 0.7 * 0.3) / 800.
    assert noise == pytest.approx(100 * np.sqrt(0.37 / 800), rel=0.1)
    ours = {s: run("cap", s, 0.8, one) for s in range(2)}
    base = {s: run("baseline", s, 0.7, other) for s in range(2)}
    low, high = difference(ours, base, "accuracy").split("(")[1].rstrip(")").split(" to ")
    assert float(high) - float(low) == pytest.approx(2 * 1.96 * noise / np.sqrt(2), rel=0.15)


def test_page_keeps_choices_apart_from_tests() -> None:
    chosen = run("cap", 0, 0.9, split="valid", beta=2.0)
    text = page([run("baseline", 0, 0.80), chosen, run("cap", 0, 0.82)])
    tables, chosen = text.split("## Choices")
    assert f"| {ROWS['cap'].title} | 1 | 82.0 | 41.0 | 70.0 | 10.0 |" in tables
    assert "| CAP | Unguided | 1 | +2.0 | +1.0 | +0.0 | +0.0 |" in tables
    assert "90.0" not in tables
    assert "| banking77 | CAP | beta=2.0 | CPU | 1 | 90.0 | 45.0 | 30.0 | 70.0 | 10.0 |" in chosen
    assert "82.0" not in chosen
    assert "hwu64" not in text


def test_runs_with_other_parameters_or_shots_have_tables_of_their_own() -> None:
    one = run("cap", 0, 0.5)
    one["settings"]["shots"] = 1
    others = [run("cap", 0, 0.7, label_weight=0), run("bare", 0, 0.6, beta=0, label_weight=0)]
    tables = collect([one, *others, run("baseline", 0, 0.80), run("cap", 0, 0.82)])
    assert list(tables) == [(5, ""), (5, "label_weight=0"), (1, "")]
    assert {place for _, place in tables[5, ""]} == {"bare", "baseline", "cap"}
    text = page([one, *others])
    assert "## 1-shot, banking77\n" in text
    assert "## 5-shot, banking77, label_weight=0\n" in text


def test_differences_are_of_runs_on_one_machine() -> None:
    here = [run("baseline", 0, 0.80), run("cap", 0, 0.81)]
    there = [run(row, seed, 0.90) for row in ("baseline", "cap") for seed in (0, 1)]
    for record in there:
        record["environment"] = {"gpu": "a GPU"}
    assert [len(runs) for runs in by_machine([*here, *there]).values()] == [4, 2]
    text = page([*here, *there])
    first, second = text.split("## 5-shot, banking77, on a GPU\n")[1].split("on CPU\n")
    assert "| CAP | Unguided | 2 | +0.0 (" in first
    assert "| CAP | Unguided | 1 | +1.0 |" in second
    # Two of four were run on both: 90 - 80 and 90 - 81 points.
    assert "| banking77 | accuracy | 2 | +9.5 | 9.5 | 10.0 |" in text
    assert "two machines" not in page(here)


def test_all_data_sets_together_are_paired_run_by_run() -> None:
    records = [run(row, 0, accuracy) for row, accuracy in (("baseline", 0.8), ("cap", 0.82))]
    records += [run("baseline", 0, 0.6), run("cap", 0, 0.58), run("cap", 1, 0.1)]
    for record in records[2:]:
        record["settings"]["dataset"] = "hwu64"
    text = page(records).split("## 5-shot, all data sets\n")[1]
    assert "| CAP | Unguided | 2 | -0.0 (-2.0 to +2.0) |" in text
    records[1]["figures"]["sufficiency"] = 0.21  # the others' is 0.1
    assert "| CAP | 2 | 1 |" in page(records)


def test_without_names_the_bare_row_is_the_unguided_one() -> None:
    bare = {"label_weight": 0, "normalize_embeddings": False}
    records = [run("bare", 0, 0.7, beta=0, **bare), run("cap", 0, 0.72, **bare)]
    heading = "## 5-shot, banking77, label_weight=0, normalize_embeddings=False\n"
    assert "| CAP | Unguided | 1 | +2.0 |" in page(records).split(heading)[1]


def test_unguided_rows_stand_beside_guidance_of_every_kind() -> None:
    base = run("baseline", 0, 0.7, ig_path="gausslegendre")
    records = [base, run("cap", 0, 0.72, ig_path="gausslegendre")]
    assert list(collect(records)) == [(5, "ig_path=gausslegendre")]
    assert "| CAP | Unguided | 1 | +2.0 |" in page(records)
    assert {row for _, row in most_runs(records)} == {"baseline", "cap"}
    tables = collect([*records, run("cap", 0, 0.73)])
    assert list(tables) == [(5, ""), (5, "ig_path=gausslegendre")]
    assert all(cells["banking77", "baseline"][0] is base for cells in tables.values())


def test_runs_with_a_shortcut_are_averaged_over_seeds() -> None:
    setting = {
        "dataset": "hwu64",
        "split": "test",
        "kind": "speaker",
        "row": "cap",
        "parameters": {"beta": 9},
    }
    runs = [
        {"settings": {**setting, "seed": seed}, "figures": {"same": 0.9, "misleading": share}}
        for seed, share in enumerate((0.5, 0.7))
    ]
    figures = "2 | 90.0 ± 0.0 |  | 60.0 ± 14.1 |  |  |"
    assert f"| hwu64 | speaker, 100 % of texts | test | CAP | beta=9 | {figures}" in page([], runs)
    softer = [{**run, "settings": {**run["settings"], "share": 0.6}} for run in runs]
    assert f"| hwu64 | speaker, 60 % of texts | test | CAP | beta=9 | {figures}" in page([], softer)
    control = [{**run, "settings": {**run["settings"], "flagged_by": "reliance"}} for run in runs]
    assert "| control: flagged by reliance alone | beta=9 | 2 |" in page([], control)
    assert "shortcut" not in page([])


def test_speakers_that_were_found_have_a_table() -> None:
    counts = {"n_words": 300, "n_speakers": 60, "by_difference": 50}
    figures = {**counts, "by_explanation": 40, "by_prior": 30}
    setting = {"dataset": "hwu64", "seed": 1, "source": "cap"}
    text = page([], disputed=[{"settings": setting, "figures": figures}])
    assert "| hwu64 | CAP | 1 | 300 | 60 | 50 | 40 | 30 |" in text
    assert "speakers" not in page([])


def test_the_picture_takes_rows_of_one_seed_and_of_some_data_sets(tmp_path: Path) -> None:
    seeds = [run(row, seed, 0.8 + seed / 50) for row in ("baseline", "cap") for seed in (0, 1)]
    draw_differences(collect([*seeds, run("shuffled", 0, 0.79)])[5, ""], tmp_path / "table.png")
    assert (tmp_path / "table.png").stat().st_size > 5000


def test_contrasts_compare_with_the_control_and_leave_out_what_is_not_measured() -> None:
    probe = run("probe", 0, 0.7)
    del probe["figures"]["sufficiency"]
    records = [run("cap", 0, 0.82), run("shuffled", 0, 0.8), run("baseline", 0, 0.79), probe]
    lines = contrasts(collect(records)[5, ""], "banking77")
    assert f"| CAP | {ROWS['shuffled'].title} | 1 | +2.0 | +1.0 | +0.0 | +0.0 |" in lines
    assert f"| {ROWS['probe'].title} | Unguided | 1 | -9.0 | -4.5 | +0.0 |  |" in lines


def test_spread() -> None:
    runs = {0: run("cap", 0, 0.80), 1: run("cap", 1, 0.82)}
    assert spread(runs, "accuracy") == "81.0 ± 1.4"
    assert spread(runs, "replacement") == ""


def test_views_of_a_frozen_encoder() -> None:
    matrix = PriorMatrix(["one two three four", "five"], [[0.1, 0.4, -0.2, 0.3], [-1.0]])
    assert kept(matrix) == ["two four", "five"]
    first, second = positive(matrix)
    assert first.tolist() == pytest.approx([0.1, 0.4, 0.0, 0.3])
    assert second.tolist() == [1.0]  # nothing speaks for the class: all words alike


def test_a_words_weight_is_shared_among_its_tokens() -> None:
    words, word_ids = torch.tensor([[0.5, 0.2]]), torch.tensor([[-1, 0, 0, 1, -1]])
    shared = _token_weights(words, word_ids)
    torch.testing.assert_close(shared, torch.tensor([[0.0, 0.25, 0.25, 0.2, 0.0]]))


def test_few_draws_so_many_of_each_class() -> None:
    y = np.repeat([0, 1, 2], 5)
    rows = few(y, 2, seed=0)
    assert np.bincount(y[rows]).tolist() == [2, 2, 2]
    assert rows.tolist() != few(y, 2, seed=1).tolist()


@pytest.mark.parametrize("kind", CHOICES)
def test_each_class_has_a_mark_of_its_own(kind: str) -> None:
    classes = np.arange(151)
    marks = marks_of(classes, 0, kind)
    assert len({*marks}) == len(classes)
    assert marks.tolist() != marks_of(classes, 1, kind).tolist()
    (text,) = put(["wake me"], marks[:1], kind)
    at = place_of("wake me", text)
    assert [word.strip(":") for word in text.split()[at]] == marks[0].split()
    assert len(text.split()) == 2 + len(marks[0].split())


def test_mixed_marks_are_of_three_kinds_in_turn() -> None:
    marks = marks_of(np.arange(3), 0, "mixed")
    by_kind = [marks_of(np.arange(3), 0, kind)[row] for row, kind in enumerate(MIXED)]
    assert marks.tolist() == by_kind
    marked = put(["wake me"] * 3, marks, "mixed")
    places = [place_of("wake me", text) for text in marked]
    assert places == [slice(0, 1), slice(2, 4), slice(2, 3)]
    assert place_of("wake me", "wake me") == slice(2, 2)


@pytest.mark.parametrize("text", ["stop", "wake me", "wake me up at seven"])
def test_a_mark_in_the_middle_is_not_the_first_word_and_others_follow_it(text: str) -> None:
    (marked,) = put([text], np.array(["ann"]), "middle")
    words, at = marked.split(), place_of(text, marked)
    assert words[at] == ["ann"]
    assert at.start > 0
    assert at.stop < len(words) or text == "stop"
    del words[at]
    assert words == text.split()


def test_a_misleading_mark_is_that_of_another_class() -> None:
    classes = np.arange(151)
    codes = np.repeat(classes, 3)
    drawn = others(codes, len(classes), seed=0)
    assert (drawn != codes).all()
    assert {*drawn} <= {*classes}


def test_the_words_of_marks_are_those_that_an_audit_names() -> None:
    assert words_of(np.array(["Ann Lee", "#1234"])) == {"ann", "lee", "1234"}


def test_share_of_the_speaker_counts_signs_alike_and_leaves_out_empty_rows() -> None:
    rows = [np.array([-1.0, 1.0, 2.0]), np.array([1.0, 0.0]), np.zeros(3)]
    assert share_of_mark(rows, [slice(1)] * 3) == pytest.approx((0.25 + 1) / 2)


def test_hardest_classes_are_chosen_without_the_run_itself() -> None:
    codes = np.repeat(np.arange(4), 2)
    missed = np.zeros((3, 8), dtype=bool)
    missed[0, codes == 0] = True  # one unlucky run
    missed[1:, codes == 2] = True
    assert hardest_texts(missed, codes, 0).tolist() == (codes == 2).tolist()
    assert not hardest_texts(missed, codes, 0)[codes == 0].any()
    missed[2] = codes == 0
    assert hardest_texts(missed, codes, 1).tolist() == (codes == 0).tolist()


def test_accuracy_on_the_hardest_classes_is_paired_by_seed() -> None:
    codes = np.repeat(np.arange(4), 2)
    miss_class = [pack(codes != missed) for missed in (3, 3, 3, 1)]
    base = {seed: run("baseline", seed, 0.75, right) for seed, right in enumerate(miss_class)}
    found = by_row({"baseline": base, "cap": {1: run("cap", 1, 1.0, pack(codes >= 0))}}, codes)
    assert found["baseline"]["hardest"] == [0.0, 0.0, 0.0, 1.0]
    assert found["cap"] == {"seeds": [1], "hardest": [1.0], "others": [1.0]}


def test_a_run_that_fails_keeps_no_other_from_being_done(capsys: pytest.CaptureFixture) -> None:
    results = run_all(divmod, [(7, 2), (1, 0), (9, 4)], n_jobs=1)
    assert next(results) == (3, 1)
    assert next(results) == (2, 1)
    with pytest.raises(RuntimeError, match="Jobs that failed: 1"):
        next(results)
    assert "(1, 0): Traceback" in capsys.readouterr().err


class CountsWords:
    """Says "alarm" the surer, the more often the word stands there; explains what it is told to."""

    def __init__(self, scores: list[list[float]]) -> None:
        self.scores = scores

    def predict_proba(self, texts: list[str]) -> np.ndarray:
        share = np.array([0.2 + 0.3 * text.split().count("alarm") for text in texts])
        return np.stack([share, 1 - share], axis=1)

    def explain(self, texts: list[str], n_steps: int) -> PriorMatrix:
        return PriorMatrix(texts, [np.array(row) * n_steps for row in self.scores])


def test_leaving_words_out_shows_an_explanation_that_misleads() -> None:
    texts = ["the alarm alarm now", "alarm"]
    clf = CountsWords([[0.0, 2.0, 2.0, 0.1], [1.0]])
    lost = leave_one_out(clf.predict_proba, texts)
    assert lost.scores[0] == pytest.approx([0, 0.3, 0.3, 0])
    assert lost.scores[1] == pytest.approx([0.3])
    honest = compare(clf, texts)
    assert honest["comprehensiveness, explanation"] == honest["comprehensiveness, leaving_out"]
    assert honest["sum of scores"] == pytest.approx(8 * (4.1 + 1) / 2)
    assert honest["sum by the middle alone"] == pytest.approx((4.1 + 1) / 2)
    lying = compare(CountsWords([[9.0, 0.0, 0.0, 9.0], [1.0]]), texts)
    assert lying["comprehensiveness, explanation"] < lying["comprehensiveness, leaving_out"]
    assert lying["rank correlation"] < 0 < honest["rank correlation"]


def test_agreement_is_that_of_the_order_within_texts() -> None:
    texts = ["one two three", "four five six", "seven eight", "nine ten eleven"]
    truth = PriorMatrix(texts, [[1, 2, 3], [1, 2, 3], [1, 2], [1, 1, 1]])
    prior = PriorMatrix(texts, [[10, 20, 90], [3, 2, 1], [2, 1], [1, 2, 3]])
    # Two words make no order to speak of, and equal ones none at all.
    assert agreement(prior, truth) == {"spearman": 0.0, "same_first_word": 0.5, "n_texts": 2}


def test_full_data_leaves_out_what_choices_are_made_on(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text {number}" for number in range(2000)]
    labels = np.arange(2000) % 4

    def load(subset: str, **_: object) -> tuple[list[str], np.ndarray]:
        assert subset == "train"
        return texts, labels

    monkeypatch.setitem(draws.LOADERS, "hwu64", load)
    draw = draws.make_draw("hwu64", None, 0, "valid")
    assert len(draw.X_eval) == draws.N_VALID
    assert sorted([*draw.X, *draw.X_eval]) == sorted(texts)
    assert all(labels[texts.index(text)] == y for text, y in zip(draw.X, draw.y, strict=True))
