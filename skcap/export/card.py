"""The model card: README.md of a saved classifier, with the header that the hub reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from skcap.export.plain import from_plain
from skcap.models import MODEL_PACKAGES
from skcap.utils.listing import list_some
from skcap.utils.words import show_surrogates

__all__ = ["model_card"]

_MOST_ROWS = 100  # classes or shortcuts in a table

_WITH_SKCAP = """\
With skcap, which also explains what it predicts:

```python
from skcap import GuidedTextClassifier

clf = GuidedTextClassifier.from_pretrained("path/to/folder")
clf.predict(["a text"])
clf.explain(["a text"])
```
"""

_WITH_SENTENCE_TRANSFORMERS = """\
With sentence-transformers, which outputs the logits:

```python
import json
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/folder")
logits = model.encode(["a text"])
with open("path/to/folder/skcap.json", encoding="utf-8") as file:
    labels = json.load(file)["labels"]
labels[logits[0].argmax()]
```
"""

_WITH_TRANSFORMERS = """\
With transformers:

```python
from transformers import pipeline

classify = pipeline("text-classification", "path/to/folder")
classify("a text", truncation=True)
```
"""

_WITHOUT_TRANSFORMERS = """\
`transformers.pipeline` refuses the folder: none of its classes can hold this model.
"""

_AS_ONNX = """\
As one ONNX file, for onnxruntime and tokenizers alone: `clf.export_onnx("served/model.onnx")`, see
the page on deployment in the documentation of skcap.
"""


def model_card(
    record: Mapping[str, Any], scores: Mapping[str, float], header: Mapping[str, Any]
) -> str:
    """Write the model card of a saved classifier.

    Parameters
    ----------
    record : mapping
        See :func:`skcap.export.make_record`, with `encoder`, the encoder's folder.
    scores : mapping of str to float
    header : mapping
        Fields of the YAML header, such as ``license`` and ``datasets``, besides those that are
        known here, or in their place.

    Returns
    -------
    str
        Markdown.
    """
    classes = record["labels"]
    sections = {
        f"Text classifier: {len(classes)} classes": _introduction(record, classes),
        "Data": _data(record, classes),
        "Settings": _settings(record),
        "Scores": _scores(scores),
        "The prior: where the word scores came from": _prior(record["training_data"]["prior"]),
        "What the audit found": _audit(record["audit"]),
        "Limits": _limits(record),
        "How to use it": _use(record),
    }
    parts = [_header(record, scores, header)]
    for position, (title, body) in enumerate(sections.items()):
        parts.append(f"{'##' if position else '#'} {title}\n\n{body.strip()}\n")
    return "\n".join(parts)


def _header(
    record: Mapping[str, Any], scores: Mapping[str, float], header: Mapping[str, Any]
) -> str:
    from huggingface_hub import ModelCardData

    fields: dict[str, Any] = {
        "library_name": "sentence-transformers",
        "pipeline_tag": "text-classification",
        "tags": ["skcap", "text-classification", "sentence-transformers"],
    }
    if base := _base_model(record):
        fields["base_model"] = base
    if scores:
        fields["metrics"] = list(scores)
    return f"---\n{ModelCardData(**{**fields, **header}).to_yaml().strip()}\n---\n"


def _base_model(record: Mapping[str, Any]) -> str | None:
    """Give the hub id of the encoder that training began with; a folder has none."""
    name = from_plain(record["parameters"]["model"])
    if name in MODEL_PACKAGES:
        return MODEL_PACKAGES[name].hub_id
    is_id = isinstance(name, str) and name.count("/") <= 1 and not os.path.exists(name)
    return name if is_id else None


def _introduction(record: Mapping[str, Any], classes: Sequence[Any]) -> str:
    shown = [f"`{_cell(label)}`" for label in classes]
    listed = list_some(shown, most=5 if len(classes) > 7 else len(classes))
    return (
        f"It sorts short texts into {len(classes)} classes: {listed}. It is an encoder with "
        f"one linear layer on top, fine-tuned with skcap {record['versions']['skcap']}, and needs "
        "no language model to predict."
    )


def _data(record: Mapping[str, Any], classes: Sequence[Any]) -> str:
    data = record["training_data"]
    rows = zip(classes, data["texts_per_class"], strict=True)
    table = _table(("class", "training texts"), rows)
    return f"Trained on {data['n_texts']} texts of {len(classes)} classes.\n\n{table}"


def _settings(record: Mapping[str, Any]) -> str:
    values = {name: from_plain(value) for name, value in record["parameters"].items()}
    values["model"] = _base_model(record) or values["model"]
    used = [from_plain(item["kind"]) for item in record["guidance"]]
    guidance = ", ".join(f"`{item!r}`" for item in used) if used else "none"
    table = _table(("parameter", "value"), ((n, f"`{v!r}`") for n, v in values.items()))
    return (
        f"Guidance that was used, besides the labels: {guidance}. Texts are cut at "
        f"{record['max_length']} tokens.\n\n{table}"
    )


def _scores(scores: Mapping[str, float]) -> str:
    if not scores:
        return (
            "None were given. Score it on texts that it was not trained on before you rely on it."
        )
    rows = ((name, f"{value:.4g}") for name, value in scores.items())
    note = "As given by whoever saved the model; skcap did not compute them."
    return f"{note}\n\n{_table(('score', 'value'), rows)}"


def _prior(provenance: Mapping[str, Any] | None) -> str:
    if not provenance:
        return "No prior was used, or nothing is known about it."
    rows = ((name, f"`{value}`") for name, value in provenance.items())
    return (
        "The words of the training texts were scored with these settings:\n\n"
        f"{_table(('setting', 'value'), rows)}"
    )


def _audit(audit: Mapping[str, Any] | None) -> str:
    if audit is None:
        return (
            "No audit was made, so it is not known whether the model goes by words that it should "
            "not go by, such as names or ticket numbers that happen to be in the training texts."
        )
    shortcuts = from_plain(audit["shortcuts"])
    if shortcuts.empty:
        return audit["summary"]
    rows = zip(
        shortcuts["word"], shortcuts["kind"], shortcuts["label"], audit["sentences"], strict=True
    )
    table = _table(("flagged", "kind", "class", "why"), rows)
    return (
        f"{audit['summary']} This is the audit of a model that was trained without guidance, "
        "before guidance dealt with what was flagged. Guidance by swapping leaves plain words as "
        f"they are unless it is told otherwise.\n\n{table}"
    )


def _limits(record: Mapping[str, Any]) -> str:
    lines = [
        "It always answers with one of its classes, also for texts that belong to none.",
        f"It does not see what follows after {record['max_length']} tokens of a text.",
        "Probabilities learned from few texts are not reliable: calibrate them before you act on "
        "thresholds.",
        "An audit finds words and simple patterns. It does not find that a model goes by topic or "
        "style.",
    ]
    if record["audit"] is not None:
        lines.append(
            "The words that the audit flagged are in `skcap.json` and in this card. They come from "
            "the training texts: look at them before you publish the folder."
        )
    return "\n".join(f"* {line}" for line in lines)


def _use(record: Mapping[str, Any]) -> str:
    in_transformers = _WITH_TRANSFORMERS if record["encoder"] == "" else _WITHOUT_TRANSFORMERS
    return "\n".join([_WITH_SKCAP, _WITH_SENTENCE_TRANSFORMERS, in_transformers, _AS_ONNX])


def _table(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    cells = [[_cell(value) for value in row] for row in rows]
    left_out = len(cells) - _MOST_ROWS
    lines = [header, ["---"] * len(header), *cells[:_MOST_ROWS]]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return table + (f"\n\n{left_out} more are not shown." if left_out > 0 else "")


def _cell(value: Any) -> str:
    """Write one cell: no text may end the table, or be taken for HTML."""
    text = show_surrogates(" ".join(str(value).split()))
    return text.replace("|", "\\|").replace("<", "&lt;")
