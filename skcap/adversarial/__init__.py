"""Adversarial sets: texts of one class that contain keywords of another (the paper's section 5.2).

prior, y ──► class_keywords ──► class_overlap ──► hard_targets
                    └──────────────┬───────────────────┘
texts, y ──► keyword_addition / keyword_replacement ──► AdversarialSet
                    ▲ RuleWriter (default) or LLMWriter
"""

from __future__ import annotations

from skcap.adversarial.adversarial_set import AdversarialItem, AdversarialSet
from skcap.adversarial.attacks import keyword_addition, keyword_replacement
from skcap.adversarial.edits import Edit, RejectedEditError, find_problem
from skcap.adversarial.keywords import class_keywords, class_overlap, hard_targets
from skcap.adversarial.llm_writer import LLMWriter
from skcap.adversarial.writers import BaseWriter, RuleWriter

__all__ = [
    "AdversarialItem",
    "AdversarialSet",
    "BaseWriter",
    "Edit",
    "LLMWriter",
    "RejectedEditError",
    "RuleWriter",
    "class_keywords",
    "class_overlap",
    "find_problem",
    "hard_targets",
    "keyword_addition",
    "keyword_replacement",
]
