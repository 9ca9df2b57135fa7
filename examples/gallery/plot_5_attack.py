"""
Attack a classifier with its rivals' keywords
=============================================

Words of a rival class are mentioned in each text, without changing what it asks for. The control
mentions neutral words: an aside costs something whatever it says.
"""

import matplotlib.pyplot as plt

from skcap import GuidedTextClassifier
from skcap.adversarial import class_keywords, class_overlap, hard_targets, keyword_addition
from skcap.datasets import load_assistant_intents
from skcap.inspection import ConfusionPairsDisplay

labels = [
    "set_alarm",
    "cancel_alarm",
    "set_timer",
    "cancel_timer",
    "set_reminder",
    "cancel_reminder",
]
X, y = load_assistant_intents("train", shots=5, random_state=0, labels=labels, return_X_y=True)
X_test, y_test = load_assistant_intents("test", labels=labels, return_X_y=True)
clf = GuidedTextClassifier(guidance=None, random_state=0, verbose=0).fit(X, y)

# %%
# Keywords come from a prior; here from the classifier's own explanations of its training texts.

keywords = class_keywords(clf.explain(X, y), y, n_keywords=10)
targets = hard_targets(class_overlap(keywords), n_targets=1)
attacked = keyword_addition(X_test, y_test, keywords, targets)
neutral = {**keywords, "no class": {"window": 1.0, "pencil": 1.0, "curtain": 1.0, "basket": 1.0}}
control = keyword_addition(X_test, y_test, neutral, {label: ["no class"] for label in keywords})
for item in attacked.made[:3]:
    print(f"{item.label}: {item.text}")
print(attacked.report())

# %%
# What it costs
# -------------

accuracy = {
    "as they are": clf.score(X_test, y_test),
    "neutral words": clf.score(control.texts, control.labels),
    "rival's keywords": clf.score(attacked.texts, attacked.labels),
}
figure, ax = plt.subplots(figsize=(5.5, 3), layout="constrained")
bars = ax.bar(list(accuracy), [100 * value for value in accuracy.values()])
ax.bar_label(bars, fmt="%.0f")
ax.set(ylabel="accuracy in %", ylim=(0, 110))
plt.show()

# %%
# Which pairs are confused under attack?

ConfusionPairsDisplay.from_estimator(clf, attacked.texts, attacked.labels)
plt.show()
