"""Fitted classifiers as files: for skcap, sentence-transformers, transformers and ONNX.

The methods ``save_pretrained``, ``from_pretrained`` and ``export_onnx`` of
:class:`skcap.GuidedTextClassifier` are the way in.
"""

from skcap.export.card import model_card
from skcap.export.folder import (
    check_not_recorded,
    read_record,
    version_of_writer,
    write_record,
    writing_folder,
)
from skcap.export.layout import load_head, serving_tokenizer, write_model
from skcap.export.onnx_file import write_onnx
from skcap.export.plain import NotSaved, from_plain, to_plain
from skcap.export.record import (
    check_card,
    check_saved,
    check_scores,
    copy_parameters,
    make_record,
    restore_guidance,
    restore_parameters,
)
from skcap.export.sequence_head import hold_as_sequence_classifier

__all__ = [
    "NotSaved",
    "check_card",
    "check_not_recorded",
    "check_saved",
    "check_scores",
    "copy_parameters",
    "from_plain",
    "hold_as_sequence_classifier",
    "load_head",
    "make_record",
    "model_card",
    "read_record",
    "restore_guidance",
    "restore_parameters",
    "serving_tokenizer",
    "to_plain",
    "version_of_writer",
    "write_model",
    "write_onnx",
    "write_record",
    "writing_folder",
]
