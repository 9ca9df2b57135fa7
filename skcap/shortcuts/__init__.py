"""Shortcuts: words that a classifier relies on but should not."""

from skcap.shortcuts.audit import ShortcutAudit
from skcap.shortcuts.core import audit_words
from skcap.shortcuts.disputed import disputed_words
from skcap.shortcuts.positions import check_shortcuts, match_shortcuts, shortcut_positions
from skcap.utils import workers  # noqa: F401  (worker processes end with this one)

__all__ = [
    "ShortcutAudit",
    "audit_words",
    "check_shortcuts",
    "disputed_words",
    "match_shortcuts",
    "shortcut_positions",
]
