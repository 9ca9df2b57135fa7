"""What is run: rows of the tables, and the parameters that every row shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


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


HYBRID = ("cap", "lime", "ig")

ROWS = {
    "baseline": Row("Unguided", kind="unguided"),
    "bare": Row(
        "Unguided, without names of labels and unit length",
        kind="unguided",
        parameters={"label_weight": 0, "normalize_embeddings": False},
    ),
    "ig": Row("IG", ("ig",)),
    "lime": Row("LIME", ("lime",)),
    "cap": Row("CAP", ("cap",)),
    "ig_lime": Row("IG + LIME", ("ig", "lime")),
    "cap_ig": Row("CAP + IG", ("cap", "ig")),
    "cap_lime": Row("CAP + LIME", ("cap", "lime")),
    "hybrid": Row("CAP Hybrid", HYBRID),
    "cap_paper": Row("CAP, the paper's form", ("cap_paper",)),
    "cap_bfloat16": Row("CAP, scored in bfloat16", ("cap_bfloat16",)),
    "cap_rivals": Row("CAP against four rivals", ("cap_rivals",)),
    "rivals_shuffled": Row(
        "control: CAP against four rivals, shuffled", ("cap_rivals",), control="shuffled"
    ),
    "cap_gemma": Row("CAP by Gemma 3 270M", ("cap_gemma",)),
    "cap_both": Row("CAP by SmolLM2 and by Gemma, fused", ("cap", "cap_gemma")),
    "gemma_shuffled": Row("control: CAP by Gemma shuffled", ("cap_gemma",), control="shuffled"),
    "cap_surest": Row(
        "CAP, half of the texts: where the teacher is surest", ("cap",), control="surest"
    ),
    "cap_least_sure": Row(
        "CAP, half of the texts: where the teacher is least sure", ("cap",), control="least_sure"
    ),
    "shuffled": Row("control: CAP shuffled within each text", ("cap",), control="shuffled"),
    "hybrid_shuffled": Row("control: CAP Hybrid shuffled", HYBRID, control="shuffled"),
    "random": Row("control: random prior", control="random"),
    "uniform": Row("control: uniform prior", control="uniform"),
    "oracle": Row("ceiling: word weights of a model of all training texts", ("oracle",)),
    "probe": Row("Logistic regression on the frozen encoder", kind="probe"),
    "setfit": Row("SetFit", kind="setfit", parameters={"num_iterations": 20}),
}

#: Parameters of the classifier, the same in every row. See study.md for how they were chosen.
#: In float32 on a GPU, too, so that machines compare.
SHARED: dict[str, Any] = {"amp": False, "guidance": "alignment"}

N_VALID = 1200  # training texts outside of the draw, for choices
N_ATTACKED = 1500  # attacked texts that a run answers, of both attacks
N_EXPLAINED = 300  # texts for comprehensiveness and sufficiency
EXPLAIN_STEPS = 8
RATIONALE = 0.3  # share of a text's words
