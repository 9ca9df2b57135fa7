"""SetFit on the same encoder, by its own package (``pip install setfit``), as a classifier here."""

from __future__ import annotations

from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from skcap.models import resolve_device, resolve_model


class SetFitClassifier:
    """Contrastive fine-tuning and a logistic regression, with SetFit's defaults but the pairs.

    `num_iterations` pairs of each kind are drawn for a text, as in SetFit's paper. The default of
    the package is all pairs there are, which takes hours with this many classes.
    """

    def __init__(
        self,
        model: str = "all-minilm-l6-v2",
        *,
        num_iterations: int = 20,
        random_state: int = 0,
    ) -> None:
        self.model = model
        self.num_iterations = num_iterations
        self.random_state = random_state

    def fit(self, X: list[str], y: Any) -> SetFitClassifier:
        """Train the body on pairs of texts, then the head."""
        from datasets import Dataset
        from setfit import SetFitModel, Trainer, TrainingArguments

        labels, codes = np.unique(y, return_inverse=True)
        self.classes_ = labels
        folder, device = resolve_model(self.model), resolve_device("auto")
        self.net_ = SetFitModel.from_pretrained(folder, device=device)
        data = Dataset.from_dict({"text": list(X), "label": codes.tolist()})
        with TemporaryDirectory() as folder:  # made even where nothing is saved
            arguments = TrainingArguments(
                folder,
                num_iterations=self.num_iterations,
                num_epochs=1,
                seed=self.random_state,
                save_strategy="no",
                report_to="none",
            )
            Trainer(self.net_, args=arguments, train_dataset=data).train()
        return self

    def predict(self, X: list[str]) -> np.ndarray:
        """Predict labels."""
        codes = np.asarray(self.net_.predict(list(X), use_labels=False))
        return self.classes_[codes.astype(int)]
