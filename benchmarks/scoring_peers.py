"""How other tools score a label after many variants of a prompt; no code of skcap is used.

Both score every full prompt from its first token, on the same weights in float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from captum._utils.models.linear_model import SkLearnLinearModel
from captum.attr import Lime, LLMAttribution, TextTemplateInput
from transformers import AutoModelForCausalLM, AutoTokenizer

from skcap.models import resolve_model


class Weights:
    """A model and its tokenizer, loaded as their own documentation says."""

    def __init__(self, name: str):
        folder = resolve_model(name)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True
        ).eval()


def plain_loop(
    weights: Weights, prompts: Sequence[str], answer: str, batch_size: int = 8
) -> np.ndarray:
    """Score full prompts by falling length in padded batches, as lm-evaluation-harness does."""
    tokenize = weights.tokenizer
    ids = [tokenize(f"{prompt} {answer}")["input_ids"] for prompt in prompts]
    n_context = [len(tokenize(prompt)["input_ids"]) for prompt in prompts]
    order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))
    scores = np.zeros(len(ids))
    for start in range(0, len(ids), batch_size):
        rows = order[start : start + batch_size]
        inputs = [torch.tensor(ids[row][:-1]) for row in rows]
        seen = [torch.ones_like(row) for row in inputs]
        with torch.inference_mode():
            logits = weights.model(
                input_ids=torch.nn.utils.rnn.pad_sequence(inputs, batch_first=True),
                attention_mask=torch.nn.utils.rnn.pad_sequence(seen, batch_first=True),
            ).logits
        for place, row in enumerate(rows):
            targets = torch.tensor(ids[row][n_context[row] :])
            at = slice(n_context[row] - 1, len(ids[row]) - 1)
            log_p = logits[place, at].log_softmax(dim=-1)
            scores[row] = log_p.gather(1, targets[:, None]).sum().item()
    return scores


class _Recorder(SkLearnLinearModel):
    """The regression that captum fits, which also remembers what it is fitted to."""

    def __init__(self) -> None:
        super().__init__(sklearn_module="linear_model.Ridge")

    def fit(self, train_data: torch.utils.data.DataLoader, **options: object) -> object:
        self.outputs = torch.cat([outputs for _, outputs, _ in train_data]).double().numpy()
        return super().fit(train_data, **options)


def captum_scores(
    weights: Weights, prefix: str, words: list[str], suffix: str, masks: np.ndarray, answer: str
) -> np.ndarray:
    """Run captum's LLMAttribution around its Lime, given our masks in place of random ones.

    Each variant and its answer take one forward pass (``forward_in_tokens=False``), the quickest
    way that captum has. Its default, the answer's tokens one by one on cached keys and values,
    gives other log-likelihoods than full prompts do with captum 0.9 and transformers 5.23, and
    the same ones without the cache.

    Parameters
    ----------
    weights : Weights
    prefix, suffix : str
        Stand before and after the words in each prompt.
    words : list of str
    masks : ndarray of bool, shape (n_variants, n_words)
    answer : str

    Returns
    -------
    ndarray, shape (n_variants,)
        Log-likelihood of the answer, as it reaches captum's regression.
    """

    def given_masks(original: torch.Tensor, **_: object):
        yield from torch.from_numpy(masks).to(original.dtype)[:, None]

    recorder = _Recorder()
    explainer = LLMAttribution(
        Lime(weights.model, interpretable_model=recorder, perturb_func=given_masks),
        weights.tokenizer,
    )
    text = TextTemplateInput(
        lambda *kept: prefix + " ".join(word for word in kept if word) + suffix, values=words
    )
    with torch.inference_mode():
        explainer.attribute(
            text, target=f" {answer}", n_samples=len(masks), forward_in_tokens=False
        )
    return recorder.outputs
