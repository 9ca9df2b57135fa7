"""What is run: data sets, rows of the tables, and the parameters that every row shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from skcap.datasets import load_banking77, load_clinc150, load_hwu64


@dataclass(frozen=True)
class DataSet:
    """A public data set, and how many classes' keywords attack each of its classes."""

    load: Callable[..., Any]
    n_targets: int  # as in the paper


@dataclass(frozen=True)
class Row:
    """A row of the tables.

    `sources` are fused by HybridPrior; `control` then takes the sense out of the fused prior.
    `parameters` go to the classifier, over those that all rows share.
    """

    title: str
    sources: tuple[str, ...] = ()
    control: str | None = None
    kind: str = "guided"  # or "unguided", "probe", "setfit"
    parameters: dict[str, Any] = field(default_factory=dict)


DATASETS = {
    "hwu64": DataSet(load_hwu64, n_targets=1),
    "banking77": DataSet(load_banking77, n_targets=2),
    "clinc150": DataSet(load_clinc150, n_targets=3),
}

HYBRID = ("cap", "lime", "ig")

ROWS = {
    "baseline": Row("Unguided", kind="unguided"),
    "ig": Row("IG", ("ig",)),
    "lime": Row("LIME", ("lime",)),
    "cap": Row("CAP", ("cap",)),
    "ig_lime": Row("IG + LIME", ("ig", "lime")),
    "cap_ig": Row("CAP + IG", ("cap", "ig")),
    "cap_lime": Row("CAP + LIME", ("cap", "lime")),
    "hybrid": Row("CAP Hybrid", HYBRID),
    "cap_paper": Row("CAP, the paper's form", ("cap_paper",)),
    "shuffled": Row("control: CAP shuffled within each text", ("cap",), control="shuffled"),
    "hybrid_shuffled": Row("control: CAP Hybrid shuffled", HYBRID, control="shuffled"),
    "random": Row("control: random prior", ("cap",), control="random"),
    "uniform": Row("control: uniform prior", ("cap",), control="uniform"),
    "oracle": Row("ceiling: word weights of a model of all training texts", ("oracle",)),
    "probe": Row("Logistic regression on the frozen encoder", kind="probe"),
    "setfit": Row("SetFit", kind="setfit"),
}

#: Parameters of the classifier, the same in every row. See docs/study.md for how they were chosen.
SHARED: dict[str, Any] = {}

N_VALID = 1200  # training texts outside of the draw, for choices
N_ATTACKED = 1500  # attacked texts a run answers, of both attacks
N_EXPLAINED = 300  # texts for comprehensiveness and sufficiency
EXPLAIN_STEPS = 8
RATIONALE = 0.3  # share of a text's words
