"""Intent data sets: public ones (local files or the hub), and one that ships with skcap."""

from skcap.datasets.assistant import load_assistant_intents
from skcap.datasets.banking77_oos import load_banking77_oos
from skcap.datasets.hint3 import load_hint3
from skcap.datasets.intents import load_banking77, load_clinc150, load_hwu64

__all__ = [
    "load_assistant_intents",
    "load_banking77",
    "load_banking77_oos",
    "load_clinc150",
    "load_hint3",
    "load_hwu64",
]
