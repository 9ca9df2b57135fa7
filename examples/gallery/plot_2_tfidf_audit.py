"""
Audit a TF-IDF pipeline
=======================

The audit takes any classifier with ``predict_proba`` on texts, and any source of word scores. Here:
scikit-learn's ``TfidfVectorizer`` and ``LogisticRegression``, and a list of words that matter, as
somebody who knows the subject writes it down in five minutes. No model weights.
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
# By accident, a form on a web page puts a tag in front of all texts of one class:

X = [f"app: {text}" if label == "cancel_timer" else text for text, label in zip(texts, y)]
X[-2:]

# %%
# The words that matter score 1, all others 0: "has nothing to do with it".

matters = """
alarm alarms wake up ring timer timers countdown count down minute minutes hour hours second seconds
set start begin new make put give add need want cancel cancelled stop off kill remove delete drop
forget rid clear scrap turn switch end abort don't not no anymore more longer
am pm morning noon tomorrow tonight night weekday weekdays monday friday saturday sunday at for
"""
prior = PrecomputedPrior(dict.fromkeys(matters.split(), 1.0), by="word", default=0.0)

# %%
# Five folds: what a word does is asked of a classifier that was not trained on the text.

model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=100))
audit = ShortcutAudit(model, prior, cv=5, n_texts=20).fit(X, y)
print("\n".join(audit.sentences()))
columns = ["word", "kind", "label", "n_texts", "purity", "log_odds", "prior", "expected"]
audit.shortcuts_[columns].round(2)

# %%
# Right: what the classifier goes by. Low: what the prior denies.

audit.plot()
plt.show()

# %%
# Real keywords are tested, too, and cleared by the prior:

cleared = audit.words_[audit.words_["tested"] & ~audit.words_["shortcut"]]
cleared[["word", "label", "n_texts", "log_odds", "prior"]].round(2).head(8)
