"""
Does it know what it does not know?
===================================

Texts of intents that were never trained should get a low probability, and a probability of 0.8
should be right in 80 % of the cases.
"""

import matplotlib.pyplot as plt
import numpy as np

from skcap import GuidedTextClassifier
from skcap.datasets import load_assistant_intents
from skcap.metrics import auroc_out_of_scope, expected_calibration_error, out_of_scope_scores

known = ["set_alarm", "query_alarm", "cancel_alarm", "set_timer", "query_timer", "cancel_timer"]
X, y = load_assistant_intents("train", shots=5, random_state=0, labels=known, return_X_y=True)
every, labels = load_assistant_intents("test", return_X_y=True)
inside = np.isin(labels, known)
X_in = [text for text, is_known in zip(every, inside) if is_known]
X_out = [text for text, is_known in zip(every, inside) if not is_known]
clf = GuidedTextClassifier(guidance=None, random_state=0, verbose=0).fit(X, y)

# %%
# Reminders and calendar entries are close to alarms: a hard test.

p_in, p_out = clf.predict_proba(X_in), clf.predict_proba(X_out)
auroc = auroc_out_of_scope(out_of_scope_scores(p_in), out_of_scope_scores(p_out))
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
bins = np.linspace(0, 1, 21)
ax.hist(p_in.max(axis=1), bins, alpha=0.7, label="known intents")
ax.hist(p_out.max(axis=1), bins, alpha=0.7, label="unknown intents")
ax.set(xlabel="highest probability", ylabel="texts", title=f"AUROC {auroc:.2f}")
ax.legend(frameon=False)
plt.show()

# %%
# And among the known ones?

right = clf.classes_[p_in.argmax(axis=1)] == labels[inside]
error = expected_calibration_error(labels[inside], p_in, n_bins=5, classes=clf.classes_)
print(f"accuracy {right.mean():.2f}, mean confidence {p_in.max(axis=1).mean():.2f}")
print(f"expected calibration error, 5 bins: {error:.2f}")
