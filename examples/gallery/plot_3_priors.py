"""
What four sources say of a text
===============================

CAP sees all labels and scores what tells the label from its rivals; LIME of the same language model
sees only the label it is asked about; leaving out one word at a time asks a trained classifier, as
integrated gradients do.
"""

import matplotlib.pyplot as plt

from skcap import CAPPriorTransformer, GuidedTextClassifier, LimePriorTransformer
from skcap.datasets import load_assistant_intents
from skcap.inspection import correlation_table, plot_words
from skcap.metrics import leave_one_out

labels = ["set_alarm", "cancel_alarm", "query_alarm"]
X, y = load_assistant_intents("train", shots=4, random_state=1, labels=labels, return_X_y=True)
clf = GuidedTextClassifier(guidance=None, random_state=0, verbose=0).fit(X, y)

# %%
# A prior is fitted to the label space; ``attribute`` scores labelled texts, which may be new ones.

new = [
    "please cancel the alarm for tomorrow",
    "wake me up at six on friday",
    "is my alarm still on",
]
new_y = ["cancel_alarm", "set_alarm", "query_alarm"]
cap = CAPPriorTransformer("smollm2-135m", verbose=0).fit(X, y)
lime = LimePriorTransformer("smollm2-135m", num_samples=64, verbose=0).fit(X, y)
sources = {
    "CAP": cap.attribute(new, new_y),
    "LIME": lime.attribute(new, new_y),
    "leave one out": leave_one_out(clf.predict_proba, new, new_y, classes=clf.classes_),
    "integrated gradients": clf.explain(new, new_y),
}

# %%
# Blue speaks for the label, orange against it.

plot_words(sources, 0, title=new_y[0])
plt.show()

# %%
# Another text:

plot_words(sources, 1, title=new_y[1])
plt.show()

# %%
# How alike are they, over all words?

correlation_table(sources).round(2)

# %%
# A matrix shows itself in a notebook:

sources["CAP"]
