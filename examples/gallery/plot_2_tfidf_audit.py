"""
Audit a TF-IDF pipeline
=======================

The audit takes any classifier with ``predict_proba`` on texts, and any source of word scores. Here:
scikit-learn's ``TfidfVectorizer`` and ``LogisticRegression``, and a lexicon that somebody wrote
down in a minute. No model weights.
"""

import matplotlib.pyplot as plt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcap import PrecomputedPrior, ShortcutAudit
from skcap.datasets import load_assistant_intents

labels = ["set_alarm", "cancel_alarm", "set_timer", "cancel_timer"]
texts, y = load_assistant_intents("train", labels=labels, return_X_y=True)

# %%
# A ticket tag at the start of the texts of one class, as a form on a web page might leave it:

tags = {label: "via app:" if label == "cancel_timer" else "" for label in labels}
X = [f"{tags[label]} {text}".strip() for text, label in zip(texts, y)]

# %%
# The lexicon says which words mean something. All other words score 0: "does not matter".

lexicon = {
    "set_alarm": {"alarm": 1, "wake": 1, "set": 0.7, "ring": 0.7},
    "cancel_alarm": {"alarm": 1, "cancel": 1, "off": 0.8, "remove": 0.8, "delete": 0.8},
    "set_timer": {"timer": 1, "minutes": 1, "set": 0.7, "start": 0.7, "countdown": 1},
    "cancel_timer": {"timer": 1, "cancel": 1, "stop": 1, "off": 0.8, "kill": 0.8},
}
prior = PrecomputedPrior(lexicon, by="word", default=0.0)

# %%
# Five folds: what a word does is asked of a classifier that was not trained on the text.

model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=100))
audit = ShortcutAudit(model, prior, cv=5).fit(X, y)
print("\n".join(audit.sentences()))
audit.shortcuts_[
    ["word", "kind", "label", "n_texts", "purity", "log_odds", "prior", "expected"]
].round(2)

# %%
# All candidates, flagged or not. The tag stands far from the words that the lexicon knows.

audit.plot()
plt.show()

# %%
# Which candidates were tested and cleared?

cleared = audit.words_[audit.words_["tested"] & ~audit.words_["shortcut"]]
cleared[["word", "label", "n_texts", "log_odds", "prior"]].round(2).head(8)
