"""Guidance: what a classifier is taught besides its labels. One strategy per file."""

from skcap.guidance.adversarial import AdversarialGuidance
from skcap.guidance.alignment import AlignmentGuidance
from skcap.guidance.base import BaseGuidance, Step, Task
from skcap.guidance.masker import MaskerGuidance
from skcap.guidance.rationale import RationaleGuidance
from skcap.guidance.resolve import GUIDANCE, make_guidance, resolve_guidance
from skcap.guidance.swap import SwapGuidance

__all__ = [
    "GUIDANCE",
    "AdversarialGuidance",
    "AlignmentGuidance",
    "BaseGuidance",
    "MaskerGuidance",
    "RationaleGuidance",
    "Step",
    "SwapGuidance",
    "Task",
    "make_guidance",
    "resolve_guidance",
]
