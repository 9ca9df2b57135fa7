"""`import skcap` is light, and every public name is there."""

import subprocess
import sys

import pytest

import skcap

HEAVY = ("torch", "transformers", "captum", "lime", "matplotlib", "pandas", "shap", "skorch")


def test_import_loads_nothing_heavy():
    code = "import sys, skcap; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not set(HEAVY) & set(loaded.stdout.split())


@pytest.mark.parametrize("name", skcap.__all__)
def test_public_names_resolve(name):
    assert getattr(skcap, name).__name__ == name
    assert name in dir(skcap)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="NoSuchThing"):
        skcap.NoSuchThing  # noqa: B018
