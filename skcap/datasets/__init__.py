"""Intent data sets: three public ones (local files or the hub), and one that ships with skcap."""

from skcap.datasets._assistant import load_assistant_intents
from skcap.datasets._intents import load_banking77, load_clinc150, load_hwu64

__all__ = ["load_assistant_intents", "load_banking77", "load_clinc150", "load_hwu64"]
