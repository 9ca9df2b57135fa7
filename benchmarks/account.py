"""The tables of README.md and docs/evidence.md, from the runs on record.

    make figures           # writes them into the pages, and draws the pictures
    make figures CHECK=1   # fails if a page shows anything else

A page has a line such as ``[[[cog softer() ]]]`` in a comment: what that function prints stands
below it. See `benchmarks.pictures` for the pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.natural import planted, scope
from benchmarks.natural.study import Line, Study, place_of
from benchmarks.natural.table import (
    BASELINE,
    Figures,
    as_table,
    differences,
    interval,
    percent,
    spread,
)
from benchmarks.paper import encoders as larger
from benchmarks.paper.run import read_lines
from benchmarks.paper.shortcut import PATH as SHORTCUTS
from benchmarks.shortcuts import audit_understanding as understanding

__all__ = [
    "clean_texts",
    "encoders",
    "headline",
    "kept_aside",
    "more_sets",
    "out_of_scope",
    "rivals",
    "shortcut",
    "softer",
    "understood",
    "users",
]

Runs = dict[str, Figures]  # by method
Column = Callable[[str], str]  # gives a method's cell

NAMES = {"hwu64": "HWU64", "banking77": "Banking77", "clinc150": "CLINC150"}
SWAP = '`guidance="swap"`'
UNGUIDED = {"kind": "speaker", "row": "baseline"}
PRIOR = {"kind": "speaker", "row": "cap"}
SHUFFLED = {"kind": "speaker", "row": "shuffled"}
RELIANCE = {**PRIOR, "flagged_by": "reliance"}
CLEAN = {"kind": "none", "row": "baseline"}
NUMBER = {"kind": "reference"}
SIGNATURE = {"kind": "signature"}
MIXED = {"kind": "mixed"}
MIDDLE = {"kind": "middle"}
PLAIN = {**MIDDLE, "parameters": {"guidance": "swap", "guidance__plain_words": True}}
BY_HAND = {**PRIOR, **MIDDLE, "flagged_by": "hand"}
METHODS = {
    "tfidf": "TF-IDF and logistic regression",
    "probe": "logistic regression on the frozen encoder",
    "setfit": "SetFit",
    "unguided": "unguided",
    "swap": SWAP,
    "swap, shuffled": "control: swap, prior shuffled",
    "swap_all": "swap, plain words as well",
    "swap_all, shuffled": "control: the same, prior shuffled",
    "rationale": '`guidance="rationale"`',
    "rationale, shuffled": "control: rationale, prior shuffled",
    "word_dropout": "word dropout",
    "anchor": "encoder held to its start",
    "jtt": "JTT",
    "afr": "AFR, last layer retrained",
    "masker_tfidf": "MASKER, keywords by frequency",
    "masker_attention": "MASKER, keywords by attention",
    "masker_audit": "MASKER, keywords by the audit",
    "experts": "product of experts",
    "unirex": "UNIREX's margins",
}
UNSEEN = ("banking77", "clinc150")  # where the rule of understanding was not chosen
#: Sets with questions out of scope: what they are called, and which AUROC is shown.
SETS = {
    "hint3-SOFMattress-v1": ("SOFMattress", "auroc"),
    "hint3-SOFMattress-v1-subset": ("SOFMattress, fewer texts", "auroc"),
    "hint3-SOFMattress-v2": ("SOFMattress, cleaner labels", "auroc"),
    "hint3-Curekart-v1": ("Curekart", "auroc"),
    "hint3-Curekart-v2": ("Curekart, cleaner labels", "auroc"),
    "banking77_oos-5": ("Banking77-OOS, five texts per class", "auroc, in_domain"),
    "clinc150-5": ("CLINC150, five texts per class", "auroc"),
}
#: Sets on which nothing was chosen; names were planted in all of their training texts.
KEPT_ASIDE = {"snips": "SNIPS, 7 intents", "stackoverflow": "Stack Overflow, 20 tags"}
#: Shown in benchmarks/natural/, and not in the account.
PLANTED_PAGE_ONLY = ("probe", "word_dropout", "anchor", "masker_tfidf", "masker_audit", "experts")
IN_SCOPE_PAGE_ONLY = (
    "probe",
    "afr",
    "jtt",
    "unirex",
    "word_dropout",
    "masker_tfidf",
    "masker_attention",
    "masker_audit",
    "experts",
    "alignment",
    "alignment, shuffled",
    "swap_all",
    "swap_all, shuffled",
)


def runs_by_seed(dataset: str, kind: str, row: str, **wanted: Any) -> Figures:
    """Figures of the test runs with these settings and no others than the defaults, by seed."""
    swap = wanted.pop("parameters", {"guidance": "swap"})
    expected = {"share": 1.0, "flagged_by": "prior", **wanted}
    found = {}
    for line in read_lines(SHORTCUTS):
        settings = line["settings"]
        own = (settings["dataset"], settings["kind"], settings["row"], settings["split"])
        swaps = settings["parameters"] in (swap, {"beta": 0})
        special = {"share": settings.get("share", 1.0)}
        special["flagged_by"] = settings.get("flagged_by", "prior")
        if own == (dataset, kind, row, "test") and swaps and special == expected:
            found[settings["seed"]] = line["figures"]
    return found


def by_mark(rows: Iterable[tuple[str, str, dict[str, Any]]]) -> None:
    """Print accuracy by the mark of a test text, one row for a title, data set and settings."""
    head = ["tested with the name of ...", "draws", "own class", "none", "another class"]
    body = []
    for title, dataset, wanted in rows:
        found = runs_by_seed(dataset, **wanted)
        cells = [spread(percent(found, test)) for test in planted.TESTS]
        body.append([title, str(len(found)), *cells])
    print(as_table(head, body))


def headline() -> None:
    """Print what README.md shows of `shortcut`."""
    by_mark(
        [
            ("HWU64, unguided", "hwu64", UNGUIDED),
            (f"HWU64, {SWAP}", "hwu64", PRIOR),
            ("HWU64, control: swap by the prior, shuffled", "hwu64", SHUFFLED),
            ("HWU64, control: swap without a prior", "hwu64", RELIANCE),
            ("HWU64, ceiling: trained on texts without marks", "hwu64", CLEAN),
            ("Banking77, unguided", "banking77", UNGUIDED),
            (f"Banking77, {SWAP}", "banking77", PRIOR),
            ("CLINC150, unguided", "clinc150", UNGUIDED),
            (f"CLINC150, {SWAP}", "clinc150", PRIOR),
            ("HWU64, a signature of two names, unguided", "hwu64", {**UNGUIDED, **SIGNATURE}),
            (f"HWU64, a signature of two names, {SWAP}", "hwu64", {**PRIOR, **SIGNATURE}),
            ("HWU64, a number as mark, unguided", "hwu64", {**UNGUIDED, **NUMBER}),
            (f"HWU64, a number as mark, {SWAP}", "hwu64", {**PRIOR, **NUMBER}),
            ("HWU64, mixed: one of these three, unguided", "hwu64", {**UNGUIDED, **MIXED}),
            (f"HWU64, mixed: one of these three, {SWAP}", "hwu64", {**PRIOR, **MIXED}),
        ]
    )


def shortcut() -> None:
    """Print accuracy by mark, with controls."""
    by_mark(
        [
            ("HWU64, unguided", "hwu64", UNGUIDED),
            (SWAP, "hwu64", PRIOR),
            ("control: swap by the shuffled prior", "hwu64", SHUFFLED),
            ("control: swap without a prior, by what the model relies on", "hwu64", RELIANCE),
            ("ceiling: trained on clean texts", "hwu64", CLEAN),
            ("Banking77, unguided", "banking77", UNGUIDED),
            (SWAP, "banking77", PRIOR),
            ("CLINC150, unguided", "clinc150", UNGUIDED),
            (SWAP, "clinc150", PRIOR),
            ("HWU64, a signature of two names, unguided", "hwu64", {**UNGUIDED, **SIGNATURE}),
            (SWAP, "hwu64", {**PRIOR, **SIGNATURE}),
            ("HWU64, mixed: name, signature or number, unguided", "hwu64", {**UNGUIDED, **MIXED}),
            (SWAP, "hwu64", {**PRIOR, **MIXED}),
            ("HWU64, a name in mid-text, unguided", "hwu64", {**UNGUIDED, **MIDDLE}),
            ("`SwapGuidance(plain_words=True)`", "hwu64", {**PRIOR, **PLAIN}),
            ("`SwapGuidance(names)`, all names listed by hand", "hwu64", BY_HAND),
        ]
    )


def softer() -> None:
    """Print what swap gains with a misleading mark, by the share of texts that have one."""
    gains = []
    for share in (1.0, 0.8, 0.6, 0.4):
        one, other = (runs_by_seed("hwu64", share=share, **own) for own in (UNGUIDED, PRIOR))
        gain = interval(differences(other, one, "misleading"))
        gains.append(f"{gain} at {100 * share:.0f} %")
    said = f"Points that swap gains with a misleading name: {', '.join(gains)}"
    print(f"{said} (HWU64, five draws, paired, 95 % intervals).")


def clean_texts() -> None:
    """Print what swap costs on clean texts, paired, and how many words are swapped there."""
    changes, swapped = [], []
    for dataset in NAMES:
        one, other = (runs_by_seed(dataset, kind="none", row=row) for row in ("baseline", "cap"))
        changes += differences(other, one, "none")
        swapped += [int(run["flagged"]) for seed, run in other.items() if seed in one]
    counts = ", ".join(f"{n} in {swapped.count(n)} of them" for n in sorted(set(swapped)))
    print(
        f"Over {len(changes)} clean draws accuracy changes by {interval(changes, digits=2)}"
        f" points, at worst by {min(changes):.1f}, at best by {max(changes):+.1f}. "
        f"Words swapped: {counts}."
    )


def kept_aside() -> None:
    """Print accuracy with a misleading name on sets that nothing was chosen on."""
    methods = ("tfidf", "unguided", "swap", "swap, shuffled")
    head = ["with a misleading name", "draws", *map(METHODS.get, methods)]
    head += ["swap, without a name", "names swapped"]
    body = []
    for name, title in KEPT_ASIDE.items():
        lines = lines_at(planted.STUDY, {"dataset": name, "share": 1.0})
        found = by_method(lines)
        cells = [mean_of(found, "misleading")(method) for method in methods]
        cells.append(mean_of(found, "none")("swap"))
        body.append([title, str(len(found["swap"])), *cells, swapped_in(lines)])
    print(as_table(head, body))


def lines_at(study: Study, place: dict[str, Any], left_out: tuple[str, ...] = ()) -> list[Line]:
    """Give the runs of a study at a place, but those of some methods."""
    return [
        line
        for line in study.lines()
        if place_of(line) == place and line["settings"]["method"] not in left_out
    ]


def swapped_in(lines: Iterable[Line]) -> str:
    """List how many words swap swapped in each of its runs."""
    swaps = [line for line in lines if line["settings"]["method"] == "swap"]
    return ", ".join(str(len(line["swapped"])) for line in swaps)


def by_method(lines: Iterable[Line]) -> Runs:
    """Sort the runs of a study by method and seed."""
    found: Runs = {}
    for line in lines:
        own = line["settings"]
        found.setdefault(own["method"], {})[own["seed"]] = line["figures"]
    return found


def runs_at(study: Study, place: dict[str, Any], left_out: tuple[str, ...] = ()) -> Runs:
    return by_method(lines_at(study, place, left_out))


def mean_of(found: Runs, figure: str) -> Column:
    return lambda method: spread(percent(found[method], figure))


def gain_of(found: Runs, figure: str) -> Column:
    """Compare a method with the unguided model; blank for that model, and for what was not run."""

    def cell(method: str) -> str:
        if method == BASELINE or method not in found:
            return ""
        gains = differences(found[method], found[BASELINE], figure)
        return f"{interval(gains)} (1 seed)" if len(gains) == 1 else interval(gains)

    return cell


def print_methods(found: Runs, columns: dict[str, Column]) -> None:
    """Print a row for each method that was run, in the order of `METHODS`."""
    body = [
        [title, str(len(found[name])), *(cell(name) for cell in columns.values())]
        for name, title in METHODS.items()
        if name in found
    ]
    print(as_table(["", "seeds", *columns], body))


def users(name: str, other: str) -> None:
    """Print what most of the methods make of one set of real questions, and gain on another."""
    found = runs_at(scope.STUDY, {"set": name}, IN_SCOPE_PAGE_ONLY)
    beside = runs_at(scope.STUDY, {"set": other})
    title, _ = SETS[other]
    columns = {
        "accuracy in scope": mean_of(found, "accuracy"),
        "paired, 95 % interval": gain_of(found, "accuracy"),
        "out of scope, AUROC": mean_of(found, "auroc"),
        "calibration error": mean_of(found, "ece"),
        "accuracy attacked": mean_of(found, "adversarial"),
        f"{title}: accuracy in scope, paired": gain_of(beside, "accuracy"),
        f"{title}: AUROC, paired": gain_of(beside, "auroc"),
        f"{title}: accuracy attacked, paired": gain_of(beside, "adversarial"),
    }
    print_methods(found, columns)


def out_of_scope() -> None:
    """Print what rationales by the prior bring out of scope, with none and its control beside."""
    said = []
    for name, (title, auroc) in SETS.items():
        found = runs_at(scope.STUDY, {"set": name})
        if {"rationale", "rationale, shuffled"} <= found.keys():
            own = found["rationale"]
            gains = [
                interval(differences(own, found[other], auroc))
                for other in (BASELINE, "rationale, shuffled")
            ]
            said.append(f"{title} {gains[0]}, over the shuffled prior {gains[1]}")
    print(f"{'; '.join(said)}.")


def more_sets() -> None:
    """Print what swap makes of all sets with questions out of scope, paired with no guidance."""
    head = ["", "seeds", "unguided: accuracy in scope", "AUROC"]
    head += ["swap: accuracy, paired", "AUROC, paired", "words swapped"]
    body = []
    for name, (title, auroc) in SETS.items():
        lines = lines_at(scope.STUDY, {"set": name})
        found = by_method(lines)
        if "swap" not in found:
            continue
        base, own = found[BASELINE], found["swap"]
        cells = [spread(percent(base, figure)) for figure in ("accuracy", auroc)]
        cells += [interval(differences(own, base, figure)) for figure in ("accuracy", auroc)]
        body.append([title, str(len(own)), *cells, swapped_in(lines)])
    print(as_table(head, body))


def understood() -> None:
    """Print what an audit gains by believing a prior only on classes that it understands."""
    lines = read_lines(understanding.PATH)
    runs = [line["figures"] for line in lines if line["settings"]["dataset"] in UNSEEN]

    def mean(rule: str, figure: str, tried: str) -> str:
        name = f"{understanding.N_TEXTS}, {tried}, {rule}, {figure}"
        return f"{sum(run[name] for run in runs) / len(runs):.1f}"

    told = {
        "clean, own names": "own names",
        "clean, exchanged": "exchanged names",
        "clean, codes": "codes",
    }
    head = ["", *(f"wrongly flagged, {name}" for name in told.values()), "marks found, of six"]
    body = [
        [
            title,
            *(mean(rule, "wrong", own) for own in told),
            mean(rule, "found", "marked, own names"),
        ]
        for rule, title in (("always", "all doubt believed"), ("half", "`ShortcutAudit`"))
    ]
    print(as_table(head, body))


def rivals(dataset: str, share: float, *others: tuple[str, float]) -> None:
    """Print what methods make of a data set where a share of each class's texts has a mark.

    Of the other data sets and shares, what each method gains where the mark misleads.
    """
    found = planted_at(dataset, share)
    columns = {
        "own class": mean_of(found, "same"),
        "none": mean_of(found, "none"),
        "another class": mean_of(found, "misleading"),
        "paired, 95 % interval": gain_of(found, "misleading"),
    }
    for other, other_share in others:
        beside = planted_at(other, other_share)
        n_seeds = min(map(len, beside.values()))
        title = f"{NAMES[other]} at {100 * other_share:.0f} % ({n_seeds} seeds), paired"
        columns[title] = gain_of(beside, "misleading")
    print_methods(found, columns)


def planted_at(dataset: str, share: float) -> Runs:
    return runs_at(planted.STUDY, {"dataset": dataset, "share": share}, PLANTED_PAGE_ONLY)


def encoders() -> None:
    """Print the accuracy of unguided encoders, beside what is published."""
    print(larger.table())
