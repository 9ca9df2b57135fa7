"""The methods that are compared: ours, their shuffled controls, and rivals from their papers.

Each is an estimator, or a guidance of one, in a file of its own. `TUNED` lists the one parameter of
each that is chosen on validation texts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.natural.methods.afr import AFR
from benchmarks.natural.methods.anchor import Anchor
from benchmarks.natural.methods.experts import ProductOfExperts
from benchmarks.natural.methods.jtt import JTT
from benchmarks.natural.methods.masker import MaskedKeywords
from benchmarks.natural.methods.setfit import SetFit
from benchmarks.natural.methods.tfidf import make_tfidf
from benchmarks.natural.methods.unirex import RationaleMargins
from benchmarks.natural.methods.word_dropout import WordDropout
from skcap import GuidedTextClassifier, PriorMatrix
from skcap.guidance import AlignmentGuidance, BaseGuidance, RationaleGuidance, SwapGuidance

#: Methods that never see a prior.
PLAIN = (
    "tfidf",
    "probe",
    "setfit",
    "unguided",
    "word_dropout",
    "anchor",
    "jtt",
    "afr",
    "masker_tfidf",
    "masker_attention",
    "unirex",
)
#: Methods that need one.
GUIDED = ("swap", "swap_all", "rationale", "alignment", "masker_audit", "experts")
METHODS = (*PLAIN, *GUIDED, *(f"{name}, shuffled" for name in GUIDED))


@dataclass(frozen=True)
class Tuned:
    """The main parameter of a method: its default, and at most three values to try."""

    parameter: str
    default: float
    values: tuple[float, ...]


#: The tuning budget, the same for all. A method that is missing has nothing to choose; a shuffled
#: control chooses for itself. Defaults are those of the papers, where these give one.
TUNED = {
    "tfidf": Tuned("logisticregression__C", 10, (1, 10, 100)),
    "setfit": Tuned("num_iterations", 20, (5, 10, 20)),
    "word_dropout": Tuned("guidance__share", 0.3, (0.1, 0.3, 0.5)),
    "anchor": Tuned("guidance__weight", 0.1, (0.01, 0.1, 1.0)),
    "jtt": Tuned("upweight", 5.0, (2.0, 5.0, 20.0)),
    "afr": Tuned("gamma", 4.0, (1.0, 4.0, 16.0)),
    "masker_tfidf": Tuned("guidance__weight", 0.001, (0.001, 0.03, 1.0)),
    "masker_attention": Tuned("guidance__weight", 0.001, (0.001, 0.03, 1.0)),
    "masker_audit": Tuned("guidance__weight", 0.001, (0.001, 0.03, 1.0)),
    "unirex": Tuned("guidance__weight", 0.5, (0.1, 0.5, 1.0)),
    "experts": Tuned("guidance__strength", 1.0, (1.0, 2.0, 4.0)),
    "rationale": Tuned("guidance__share", 0.5, (0.25, 0.5, 0.75)),
    "alignment": Tuned("beta", 1.0, (0.3, 1.0, 3.0)),
}

_GUIDANCE: dict[str, Callable[[], BaseGuidance]] = {
    "word_dropout": WordDropout,
    "anchor": Anchor,
    "masker_tfidf": lambda: MaskedKeywords("tfidf"),
    "masker_attention": lambda: MaskedKeywords("attention"),
    "masker_audit": lambda: MaskedKeywords("audit"),
    "unirex": RationaleMargins,
    "experts": ProductOfExperts,
    "swap": SwapGuidance,
    "swap_all": lambda: SwapGuidance(plain_words=True),
    "rationale": RationaleGuidance,
    "alignment": AlignmentGuidance,
}


def make(
    method: str, seed: int, parameters: dict[str, Any] | None = None, **classifier: Any
) -> Any:
    """Make the estimator of a method.

    `parameters` are set over the method's own defaults; `classifier` are parameters of the
    classifier that it trains, the same for all methods.
    """
    name = method.removesuffix(", shuffled")
    plain = GuidedTextClassifier(guidance=None, random_state=seed).set_params(**classifier)
    made = _build(name, plain)
    return made.set_params(**parameters) if parameters else made


def _build(name: str, plain: GuidedTextClassifier) -> Any:
    if name in _GUIDANCE:
        return plain.set_params(guidance=_GUIDANCE[name]())
    if name == "unguided":
        return plain
    if name == "probe":
        return plain.set_params(lr=0.0, head_lr=0.0, max_epochs=1, label_weight=0)
    if name == "jtt":
        return JTT(plain)
    if name == "afr":
        return AFR(plain, random_state=plain.random_state)
    if name == "setfit":
        return SetFit(plain.model, random_state=plain.random_state)
    if name == "tfidf":
        return make_tfidf()
    raise ValueError(f"There is no method {name!r}.")


def tuned(method: str) -> Tuned | None:
    """Give the parameter of a method that is chosen, None if there is nothing to choose."""
    return TUNED.get(method.removesuffix(", shuffled"))


def defaults(method: str) -> dict[str, float]:
    """Give the parameters of a method where nothing was chosen."""
    own = tuned(method)
    return {} if own is None else {own.parameter: own.default}


def data_for(method: str, texts: list[str], prior: Callable[[], PriorMatrix], seed: int) -> Any:
    """Give what a method is fitted on: texts, a prior, or a prior in random order.

    The prior is asked for only where the method needs one.
    """
    if method in PLAIN:
        return list(texts)
    return prior().shuffle(seed) if method.endswith("shuffled") else prior()
