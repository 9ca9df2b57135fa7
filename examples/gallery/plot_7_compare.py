"""
Does guidance help my data?
===========================

``compare_guidance`` trains the same classifier guided, unguided, and guided by shuffled scores, on
the same splits. On clean texts the honest answer is mostly: nothing was shown. This run is tiny, so
that the page builds in seconds.
"""

import matplotlib.pyplot as plt

from skcap import GuidedTextClassifier, PrecomputedPrior
from skcap.datasets import load_assistant_intents
from skcap.inspection import compare_guidance

labels = ["set_alarm", "cancel_alarm", "set_timer", "cancel_timer"]
X, y = load_assistant_intents("train", shots=4, random_state=0, labels=labels, return_X_y=True)
lexicon = {
    "alarm": 1,
    "timer": 1,
    "wake": 1,
    "minutes": 1,
    "cancel": 1,
    "stop": 1,
    "off": 1,
    "set": 0.5,
}
comparison = compare_guidance(
    GuidedTextClassifier(guidance="rationale", max_epochs=3),
    X,
    y,
    prior=PrecomputedPrior(lexicon, by="word", default=0.0),
    cv=2,
    verbose=0,
)
print(comparison.summary())
comparison.to_frame().round(3)

# %%
# The gain over each control, split by split, with its interval:

comparison.plot()
plt.show()
