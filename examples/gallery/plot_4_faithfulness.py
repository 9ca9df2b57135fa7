"""
Is an explanation faithful?
===========================

Take away the words that an explanation names, and the probability of the class should fall fast;
keep them alone, and it should stay. The control is the same explanation with its scores in random
order.
"""

import matplotlib.pyplot as plt

from skcap import GuidedTextClassifier
from skcap.datasets import load_assistant_intents
from skcap.metrics import RationaleRules, faithfulness_scores

X, y = load_assistant_intents("train", shots=5, random_state=0, return_X_y=True)
X_test, y_test = load_assistant_intents("test", return_X_y=True)
X_test, y_test = X_test[::8], y_test[::8]
clf = GuidedTextClassifier(guidance=None, random_state=0, verbose=0).fit(X, y)
own = clf.explain(X_test)
sources = {"its own explanation": own, "shuffled": own.shuffle(random_state=0)}

# %%
# From 10 to 50 % of each text's words count as the rationale.

shares = (0.1, 0.3, 0.5)
figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained", sharex=True)
for name, matrix in sources.items():
    found = [
        faithfulness_scores(clf, X_test, y_test, rules=RationaleRules(k=k), attribution=matrix)
        for k in shares
    ]
    axes[0].plot(shares, [scores["comprehensiveness"] for scores in found], "o-", label=name)
    axes[1].plot(shares, [-scores["neg_sufficiency"] for scores in found], "o-", label=name)
axes[0].set(title="lost without the rationale\n(comprehensiveness, higher is better)")
axes[1].set(title="lost with the rationale alone\n(sufficiency, lower is better)")
for ax in axes:
    ax.set(xlabel="share of words in the rationale", ylabel="probability lost")
axes[0].legend(frameon=False)
plt.show()

# %%
# The texts behind it:

own[:6]
