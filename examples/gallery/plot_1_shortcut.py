"""
A shortcut, found and removed
=============================

Five texts of each of six intents, and by accident all texts of an intent were written by one
person. A classifier mistakes the writer's name for the reason. The audit finds some of the names,
and training with ``guidance="swap"`` takes these out of play.
"""

# %%
# The texts
# ---------

import matplotlib.pyplot as plt

from skcap import CAPPriorTransformer, GuidedTextClassifier
from skcap.datasets import load_assistant_intents

writers = {
    "set_alarm": "emma",
    "query_alarm": "henry",
    "cancel_alarm": "jack",
    "set_timer": "karen",
    "query_timer": "grace",
    "cancel_timer": "ida",
}
texts, y = load_assistant_intents("train", shots=5, random_state=0, labels=writers, return_X_y=True)
X = [f"{writers[label]}: {text}" for text, label in zip(texts, y)]
X[:3]

# %%
# The prior
# ---------
# A small language model, which never saw these labels, says how much each word speaks for the label
# of its text.

prior = CAPPriorTransformer("smollm2-135m", verbose=0).fit_transform(X, y)
prior[:4]

# %%
# Train with an audit
# -------------------
# ``"swap"`` trains an unguided classifier first, and audits it.

guided = GuidedTextClassifier(guidance="swap", random_state=0, verbose=0).fit(prior, y)
audit = guided.audit_
print(audit.sentences()[0])
audit.shortcuts_[["word", "label", "n_texts", "log_odds", "q"]].round(3)

# %%
# What the classifier goes by, against what the prior says: shortcuts are where the classifier is
# moved and the prior denies.

audit.plot()
plt.show()

# %%
# Was it worth it?
# ----------------
# Test texts of the same intents: by the writer of their own intent, by nobody, and by the writer of
# another intent.

unguided = GuidedTextClassifier(guidance=None, random_state=0, verbose=0).fit(X, y)
names = list(writers.values())
other = dict(zip(writers, names[1:] + names[:1]))
texts, y_test = load_assistant_intents("test", labels=writers, return_X_y=True)
tests = {
    "own writer": [f"{writers[label]}: {text}" for text, label in zip(texts, y_test)],
    "no writer": list(texts),
    "another's writer": [f"{other[label]}: {text}" for text, label in zip(texts, y_test)],
}
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for place, (name, clf) in enumerate({"unguided": unguided, "swap": guided}.items()):
    accuracy = [100 * clf.score(test, y_test) for test in tests.values()]
    bars = ax.bar([i + 0.38 * place for i in range(3)], accuracy, width=0.36, label=name)
    ax.bar_label(bars, fmt="%.0f")
ax.set_xticks([i + 0.19 for i in range(3)], tests)
ax.set(ylabel="accuracy in %", ylim=(0, 110))
ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=2, frameon=False)
plt.show()

# %%
# With six classes the audit is careful: names that it does not flag stay shortcuts, which is why
# the last bar is not as high as that of texts without a writer. With 64 classes it flags 62 to 64
# of 64 names, see ``docs/evidence.md``. One draw and 60 test texts: a difference of some points
# is within chance.
