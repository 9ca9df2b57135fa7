"""PriorMatrix and the JSON lines of the ERASER benchmark (DeYoung et al., ACL 2020)."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skcap.utils.files import replacing
from skcap.utils.words import check_encodable, split_words

if TYPE_CHECKING:
    from skcap.prior_matrix.matrix import PriorMatrix

__all__ = ["read_eraser", "write_eraser"]


def read_eraser(
    path: str | os.PathLike[str], documents: Mapping[str, str] | str | os.PathLike[str]
) -> tuple[list[str], list[np.ndarray]]:
    """Read what :meth:`PriorMatrix.from_eraser` makes a matrix of: the texts, and their scores.

    Raises
    ------
    ValueError
        If a line cannot be read, or speaks of no document, of several, or of words beyond its end.
    """
    texts, scores = [], []
    for place, line in _read_lines(path):
        try:
            text = _read_document(documents, _find_document(line, place), place)
            n_words = [len(split_words(token)) for token in _tokens(text)]
            row = np.repeat(_score_words(line, len(n_words), place), n_words)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{place} lacks a field that is needed, or has it wrong: {error}."
            ) from error
        texts.append(text)
        scores.append(row)
    return texts, scores


def write_eraser(
    path: str | os.PathLike[str],
    prior: PriorMatrix,
    ids: Sequence[str],
    masks: Sequence[Any] | None,
) -> None:
    """Write the file of :meth:`PriorMatrix.to_eraser`."""
    for name, values in (("ids", ids), ("masks", masks)):
        if values is not None and len(values) != len(prior):
            raise ValueError(
                f"{name} must have one item per text, got {len(values)} for {len(prior)}."
            )
    check_encodable(prior.texts, "texts")
    rationales = [None] * len(prior) if masks is None else masks
    with replacing(path) as temporary, open(temporary, "x", encoding="utf-8") as file:
        rows = zip(ids, prior.scores, rationales, strict=True)  # a Series goes by position
        for row, (key, scores, mask) in enumerate(rows):
            if np.isnan(scores).any():
                raise ValueError(
                    f"row {row} has words without a score, which ERASER's files cannot say. Give "
                    "them one, as in PriorMatrix(X.texts, [np.nan_to_num(s) for s in X.scores])."
                )
            if len(_tokens(prior.texts[row])) != scores.size:
                raise ValueError(
                    f"row {row} has words between which there is neither a space nor a line break "
                    f"({prior.texts[row]!r:.80}). ERASER takes them for one word; put spaces there."
                )
            document: dict[str, Any] = {
                "docid": str(key),
                "soft_rationale_predictions": scores.tolist(),
            }
            if mask is not None:
                document["hard_rationale_predictions"] = _spans(mask, scores.size, row)
            file.write(json.dumps({"annotation_id": str(key), "rationales": [document]}) + "\n")


def _tokens(text: str) -> list[str]:
    """Split a document as ERASER's code does: at spaces and line breaks, and nowhere else."""
    return [token for line in text.split("\n") for token in line.split(" ") if token.strip()]


def _spans(mask: Any, n_words: int, row: int) -> list[dict[str, int]]:
    chosen = np.asarray(mask)
    if chosen.shape != (n_words,):
        raise ValueError(
            f"masks has shape {chosen.shape} in row {row}; its text has {n_words} words."
        )
    if np.ma.is_masked(mask) or not np.isin(chosen, (0, 1)).all():
        raise ValueError(
            f"masks must hold a boolean for each word, got {np.ma.asarray(mask).tolist()!r:.60} in "
            f"row {row}; skcap.metrics.rationale_masks makes masks of scores."
        )
    edges = np.flatnonzero(np.diff(np.r_[False, chosen, False].astype(np.int8))).tolist()
    return [
        {"start_token": a, "end_token": b} for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]


def _read_lines(path: str | os.PathLike[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    with open(path, "rb") as file:  # JSON says how it is encoded
        for number, text in enumerate(file, start=1):
            if not text.strip():
                continue
            place = f"{os.fspath(path)!r}, line {number},"
            try:
                line = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{place} is not JSON: {error}.") from error
            if not isinstance(line, dict) or not ({"evidences", "rationales"} & line.keys()):
                raise ValueError(
                    f"{place} has neither 'evidences' (annotations) nor 'rationales' (predictions)."
                )
            yield place, line


def _pieces(line: dict[str, Any]) -> list[dict[str, Any]]:
    """Give what speaks of a document: predictions, or the evidence of all groups."""
    if "rationales" in line:
        return list(line["rationales"])
    return list(itertools.chain.from_iterable(line["evidences"]))


def _find_document(line: dict[str, Any], place: str) -> str:
    named = {str(piece["docid"]) for piece in _pieces(line)} | set(line.get("docids") or [])
    # Without evidence there may be no document; sets of one document per text share their ids.
    named = named or {str(line.get("annotation_id"))}
    if len(named) > 1:
        raise ValueError(
            f"{place} speaks of {len(named)} documents ({', '.join(sorted(named)[:3])}); a "
            "PriorMatrix has one text per row. Split or join them first."
        )
    return named.pop()


def _read_document(documents: Any, docid: str, place: str) -> str:
    if isinstance(documents, Mapping):
        if docid not in documents:
            raise ValueError(
                f"{place} needs the document {docid!r}, which documents does not have."
            )
        return documents[docid]
    folder = Path(documents)
    file = (folder / docid).resolve()
    if folder.resolve() not in file.parents:
        raise ValueError(f"{place} names a document outside of {str(folder)!r}: {docid!r}.")
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(
            f"{place} needs the document {docid!r}, which {str(folder)!r} lacks."
        ) from None


def _as_numbers(scores: Any, place: str) -> np.ndarray:
    try:
        return np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place} has soft_rationale_predictions that are no numbers.") from error


def _score_words(line: dict[str, Any], n_words: int, place: str) -> np.ndarray:
    scores = np.zeros(n_words)
    pieces = _pieces(line)
    if "rationales" in line and len(pieces) > 1:
        raise ValueError(f"{place} has {len(pieces)} predictions for one document.")
    for piece in pieces:
        if "rationales" in line:
            scores = _as_numbers(piece["soft_rationale_predictions"], place)
            continue
        start, end = piece["start_token"], piece["end_token"]
        if not 0 <= start <= end <= n_words:
            raise ValueError(
                f"{place} has evidence from word {start} to {end} of a document of {n_words} words."
            )
        scores[start:end] = 1.0
    if scores.shape != (n_words,):
        raise ValueError(f"{place} has {scores.size} scores for a document of {n_words} words.")
    return scores
