import importlib
import pickle
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skcap import FakeLLM
from skcap.utils.own_code import own_code


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Give a function that writes a module's code and imports it."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(code):
        (tmp_path / "own_module_of_a_test.py").write_text(code)
        sys.modules.pop("own_module_of_a_test", None)
        importlib.invalidate_caches()
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        return importlib.import_module("own_module_of_a_test")

    yield write
    sys.modules.pop("own_module_of_a_test", None)


def test_code_of_packages_has_versions():
    assert own_code([LogisticRegression(), FakeLLM(), np.ones(3), len, ("a", 1)]) == ""


def test_a_change_in_a_file_shows(module):
    code = "def clean(text):\n    return text.lower()\n\n\nclass Lexicon:\n    pass\n"
    first = own_code(module(code).Lexicon())
    assert first
    assert own_code({"deep": [module(code).Lexicon]}) == first
    assert own_code(module(code.replace("lower", "upper")).Lexicon()) != first


def test_a_change_in_what_was_typed_shows(monkeypatch):
    def typed(code):
        namespace = {"__name__": "__main__"}
        exec(code, namespace)
        monkeypatch.setattr(sys.modules["__main__"], "Typed", namespace["Typed"], raising=False)
        return namespace["Typed"]

    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    code = "class Typed:\n    def score(self, text):\n        return 'good' in text\n"
    first = own_code(typed(code)())
    assert own_code(typed("\n\n" + code)()) == first  # another line, the same code
    assert own_code(typed(code.replace("good", "film"))()) != first


def test_what_does_not_pickle_is_told():
    with pytest.raises(pickle.PicklingError):
        own_code(lambda text: text)
