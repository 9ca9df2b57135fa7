import importlib
import os
import pickle
import subprocess
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


@pytest.fixture
def typed(monkeypatch):
    """Give a function that runs a cell of a notebook, which defines a class Typed."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)

    def run(code):
        namespace = {"__name__": "__main__"}
        exec(code, namespace)
        for name in namespace.keys() - {"__name__", "__builtins__"}:
            monkeypatch.setattr(sys.modules["__main__"], name, namespace[name], raising=False)
        return namespace["Typed"]

    return run


def test_code_is_that_which_is_loaded_whatever_is_written_to_its_file(module, tmp_path):
    code = "class Lexicon:\n    weight = 1\n"
    loaded = module(code)
    first = own_code(loaded.Lexicon())
    (tmp_path / "own_module_of_a_test.py").write_text(code.replace("1", "2"))
    assert own_code(loaded.Lexicon()) == first
    assert own_code(module(code.replace("1", "2")).Lexicon()) != first


SCORE = """
import math
from collections import OrderedDict
from functools import cache

LEVEL = {"good": [1, 2]}


@cache
def helper(text):
    return sum(len(word) for word in text.split())


class Base:
    def length(self, text):
        return 10 + helper(text)


class Typed(Base):
    weight = 3

    @property
    def twice(self):
        return 20 * self.weight

    @staticmethod
    def limit(value, *, most=40):
        return min(most, value, math.inf)

    def score(self, text):
        return LEVEL["good"][0] * ("good" in text) + self.length(text)
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("'good' in", "'film' in"),
        ("[1, 2]", "[1, 3]"),
        ("len(word)", "ord(word[0])"),
        ("10 +", "11 +"),
        ("weight = 3", "weight = 4"),
        ("20 *", "21 *"),
        ("most=40", "most=41"),
        ("Typed(Base)", "Typed(Base, OrderedDict)"),
    ],
)
def test_a_change_in_what_was_typed_shows(typed, old, new):
    code = SCORE.replace('"good" in', "'good' in")
    first = own_code(typed(code)())
    assert own_code(typed("\n\n" + code)()) == first  # another line, the same code
    assert old in code
    assert own_code(typed(code.replace(old, new))()) != first


def test_what_a_cell_does_not_refer_to_changes_nothing(typed):
    first = own_code(typed(SCORE)())
    assert own_code(typed(SCORE + "\n\ndef other():\n    return 1\n")()) == first


def test_constants_that_do_not_pickle_are_left_out(typed):
    code = "import threading\n\nclass Typed:\n    lock = threading.Lock()\n    size = 1\n"
    first = own_code(typed(code)())
    assert first
    assert own_code(typed(code)()) == first
    assert own_code(typed(code.replace("1", "2"))()) != first


def test_code_is_the_same_in_every_process(tmp_path):
    code = SCORE.replace('"good" in text', 'text in {"good", "bad", "fair", "poor"}')
    show = "from skcap.utils.own_code import own_code\nprint(own_code(Typed()))\n"
    (tmp_path / "script.py").write_text(code + show)
    said = set()
    for seed in ("1", "2"):
        run = [sys.executable, str(tmp_path / "script.py")]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
        said.add(done.stdout)
    assert len(said) == 1


def test_what_does_not_pickle_is_told():
    with pytest.raises(pickle.PicklingError):
        own_code(lambda text: text)
