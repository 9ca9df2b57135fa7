"""The part of GuidedTextClassifier that is saved, loaded and exported."""

from __future__ import annotations

import copy
import json
import os
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import torch
from sklearn.utils.validation import check_is_fitted

from skcap import export
from skcap.classifier.texts import load_tokenizer
from skcap.classifier.training import FineTuning
from skcap.models import ModelLoadError, explain_load_errors, resolve_device
from skcap.utils.files import replacing
from skcap.utils.seeds import seeded
from skcap.utils.validation import check_number, integer
from skcap.utils.words import show_surrogates

__all__ = ["Saving"]

# A saved classifier is read from its folder alone, and no code is read from there.
_OPTIONS = {"local_files_only": True, "trust_remote_code": False}

# Parameters that predictions and explanations depend on.
_SERVING = ("pooling", "normalize_embeddings", "dropout", "batch_size", "amp", "verbose")


class Saving(FineTuning):
    """Methods that write a fitted classifier to files, and read one."""

    def save_pretrained(
        self,
        folder: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        scores: Mapping[str, float] | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> None:
        """Save the fitted classifier as a folder of safetensors and JSON.

        sentence-transformers loads the folder too, and gives the logits. ``transformers.pipeline``
        loads it where one of its classes can hold the classifier: with ``pooling="cls"`` and
        ``normalize_embeddings=False``, on BERT, RoBERTa, DistilBERT, DeBERTa and their kin.
        Elsewhere it refuses the folder, and says why.

        Parameters
        ----------
        folder : path-like
            Written whole or not at all.
        overwrite : bool, default=False
            Whether to replace a folder that holds a saved classifier. A folder of any other content
            is never replaced.
        scores : mapping of str to float, default=None
            For the model card, such as ``{"accuracy": clf.score(X_test, y_test)}``.
        card : mapping, default=None
            For the header of the model card: fields that the Hugging Face hub knows, such as
            ``{"license": "apache-2.0", "datasets": ["clinc_oos"], "language": "en"}``.

        Raises
        ------
        FileExistsError
            If there is something at `folder` that must not be replaced.
        ValueError
            If labels are neither strings nor numbers, the encoder is code from elsewhere, or
            `scores` or `card` holds what it must not.

        Warns
        -----
        UserWarning
            If JSON cannot hold a parameter, such as a callback, or a column of a table of
            shortcuts, or it is a secret. The loaded classifier predicts all the same, and must be
            given the parameter before it is fitted again.

        Examples
        --------
        >>> from skcap import GuidedTextClassifier
        >>> clf = GuidedTextClassifier(guidance=None)
        >>> clf.fit(["wake me", "play jazz"], ["alarm", "music"])  # doctest: +SKIP
        >>> clf.save_pretrained("intents", card={"license": "mit"})  # doctest: +SKIP
        >>> GuidedTextClassifier.from_pretrained("intents").predict(["jazz"])  # doctest: +SKIP
        array(['music'], dtype='<U5')
        """
        check_is_fitted(self)
        scores, card = export.check_scores(scores), export.check_card(card)
        record, lost = export.make_record(self)
        labels = [str(label) for label in self.classes_.tolist()]
        with export.writing_folder(folder, overwrite) as new:
            record["encoder"] = export.write_model(
                new, self.net_.module_, self.tokenizer_, self.max_length_, labels
            )
            text = export.model_card(record, scores, card)
            (new / "README.md").write_bytes(show_surrogates(text).encode())
            export.write_record(new, {**record, "scores": scores})
        if lost:
            warnings.warn(
                f"Not saved, since JSON cannot hold it or it is private: {', '.join(lost)}. Set it "
                "again if you fit the loaded classifier anew; predictions need none of it.",
                UserWarning,
                stacklevel=2,
            )

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str], *, device: str = "auto") -> Self:
        """Load a classifier that :meth:`save_pretrained` wrote.

        No network is used, nothing is unpickled, and no code is read from the folder. Every file is
        compared with the hash that was recorded when it was written.

        Parameters
        ----------
        folder : path-like
        device : str, default="auto"
            Where to predict; it becomes the parameter `device`. The one that the classifier was
            trained on may not exist here.

        Returns
        -------
        GuidedTextClassifier
            Fitted, with the parameters that it was fitted with. Of the training it has
            ``guidance_`` and ``training_data_``; the history, the masker of a MaskerGuidance, and
            the audit but for its findings in ``guidance_[0].shortcuts_``, are not saved.

        Raises
        ------
        skcap.models.ModelLoadError
            If there is no such folder, it was not written by :meth:`save_pretrained` or by a
            version of skcap with another format, or a file is missing, changed or damaged.
        ValueError
            If torch cannot use the device.
        """
        resolve_device(str(device))
        folder = os.path.expanduser(folder)
        record = export.read_record(folder)
        try:
            return cls._restore(Path(folder), record, device)
        except (ModelLoadError, MemoryError, torch.cuda.OutOfMemoryError):
            raise
        except Exception as error:  # a damaged record may hold anything in any place
            raise ModelLoadError(
                f"{folder!r} is damaged, or was written by another version of skcap "
                f"({export.version_of_writer(record)}): {error!r:.200}."
            ) from error

    @classmethod
    def _restore(cls, folder: Path, record: Mapping[str, Any], device: str) -> Self:
        parameters = export.restore_parameters(record)
        classifier = cls(**{**parameters, "device": device})
        classifier.classes_ = export.from_plain(record["classes"])
        classifier.guidance_ = export.restore_guidance(record)
        classifier.training_data_ = record["training_data"]
        classifier._fitted_with_ = export.copy_parameters(classifier.get_params(deep=False))
        classifier._saved_audit_ = record["audit"]
        encoder = str(folder / record["encoder"])
        # Weights that are loaded for inference alone could not be explained later.
        with seeded(0), torch.inference_mode(False), explain_load_errors(folder):
            classifier.tokenizer_ = load_tokenizer(encoder, **_OPTIONS)
            classifier.net_ = classifier._serving_net(encoder)
        longest = classifier._longest(classifier.net_.module_)
        check_number("max_length", record["max_length"], integer(1, longest))
        classifier.max_length_ = record["max_length"]
        classifier.net_.module_.head.load_state_dict(export.load_head(folder))
        return classifier

    def _serving_net(self, encoder: str) -> Any:
        """Make a net that predicts; what concerns training alone may not have been saved."""
        kept = {name: getattr(self, name) for name in _SERVING}
        kept |= {
            name: value
            for name, value in self._skorch_params().items()
            if name.startswith("iterator_valid__") and not isinstance(value, export.NotSaved)
        }
        bare = type(self)(guidance=None, **kept)
        bare.tokenizer_ = self.tokenizer_
        device = torch.device(resolve_device(str(self.device)))
        net = bare._make_net(encoder, dict(_OPTIONS), len(self.classes_), device, [])
        net.initialize()
        net.head_is_set_ = True
        return net

    def export_onnx(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the fitted classifier as one ONNX file, with its tokenizer beside it.

        onnxruntime and tokenizers are all that is needed to predict with the two files.

        Parameters
        ----------
        path : path-like
            A file that ends in ``.onnx``. ``tokenizer.json`` is written to the same folder; it cuts
            texts at ``max_length_`` tokens and pads batches.
        overwrite : bool, default=False
            Whether to replace the two files where they are there already.

        Raises
        ------
        ValueError
            If `path` does not end in ``.onnx``.
        FileExistsError
            If one of the two files is there and has other content, or belongs to a saved
            classifier that would not load any more.
        ImportError
            If the packages of ``pip install 'skcap[onnx]'`` are missing, or torch is before 2.6.
        RuntimeError
            If the encoder's architecture does not survive the export: the file is compared with the
            classifier where onnxruntime is installed.

        Notes
        -----
        Inputs are `input_ids` and `attention_mask`, int64 of shape (n_texts, n_tokens); outputs are
        `probabilities` and `logits`, float32 of shape (n_texts, n_classes). The metadata has
        `labels`, a JSON list in the order of the columns, `max_length` and `skcap_version`.
        Encoders that also know token types are given type 0 inside of the file.
        """
        check_is_fitted(self)
        target = Path(os.path.expanduser(path))
        if target.suffix != ".onnx":
            raise ValueError(f"path must end in .onnx, got {os.fspath(path)!r}.")
        served = export.serving_tokenizer(self.tokenizer_, self.max_length_)
        tokenizer = served.backend_tokenizer.to_str().encode()
        beside = target.with_name("tokenizer.json")
        if beside.exists() and beside.read_bytes() != tokenizer:
            export.check_not_recorded(beside)
        if not overwrite:
            _refuse_existing(target, beside, tokenizer)
        metadata = {
            "labels": json.dumps(self.classes_.tolist(), ensure_ascii=False),
            "max_length": str(self.max_length_),
            "skcap_version": version("skcap"),
        }
        module = self.net_.module_
        if module.head.weight.device.type != "cpu":
            module = copy.deepcopy(module).cpu()
        target.parent.mkdir(parents=True, exist_ok=True)
        export.write_onnx(target, module.float().eval(), metadata)
        with replacing(beside) as temporary:
            temporary.write_bytes(tokenizer)


def _refuse_existing(target: Path, beside: Path, tokenizer: bytes) -> None:
    other = beside.exists() and beside.read_bytes() != tokenizer
    for path, taken in ((target, target.exists()), (beside, other)):
        if taken:
            raise FileExistsError(
                f"{str(path)!r} is there already. Pass overwrite=True to replace it, or choose "
                "another folder."
            )
