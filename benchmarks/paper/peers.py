"""SetFit on the same encoder, by its own package (``pip install setfit``), as a classifier here."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcap.models import resolve_model

N_ITERATIONS = 5  # pairs of each kind a text; SetFit's own choice, 20, takes four times as long


class SetFitClassifier:
    """Contrastive fine-tuning and a logistic regression, with SetFit's defaults but the pairs."""

    def __init__(self, model: str = "all-minilm-l6-v2", *, random_state: int = 0) -> None:
        self.model = model
        self.random_state = random_state

    def fit(self, X: list[str], y: Any) -> SetFitClassifier:
        """Train the body on pairs of texts, then the head."""
        from datasets import Dataset
        from setfit import SetFitModel, Trainer, TrainingArguments

        labels, codes = np.unique(y, return_inverse=True)
        self.classes_ = labels
        self.net_ = SetFitModel.from_pretrained(resolve_model(self.model), device="cpu")
        arguments = TrainingArguments(
            num_iterations=N_ITERATIONS,
            num_epochs=1,
            seed=self.random_state,
            save_strategy="no",
            report_to="none",
        )
        data = Dataset.from_dict({"text": list(X), "label": codes.tolist()})
        Trainer(self.net_, args=arguments, train_dataset=data).train()
        return self

    def predict(self, X: list[str]) -> np.ndarray:
        """Predict labels."""
        codes = np.asarray(self.net_.predict(list(X), use_labels=False))
        return self.classes_[codes.astype(int)]
