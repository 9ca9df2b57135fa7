"""Values as JSON, and back."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from skcap.export import NotSaved, from_plain, to_plain
from skcap.export.plain import parameters_to_plain
from skcap.guidance import GUIDANCE, SwapGuidance
from skcap.shortcuts import ShortcutAudit

VALUES = [
    None,
    True,
    3,
    0.1,
    float("inf"),
    "ж",
    [1, [2, None]],
    (1, ("a",)),
    {"a": 1, 2: (3,), None: {}},
    {"tuple": [1]},  # looks like a tag
    np.float32(0.5),
    np.int8(3),
    np.bool_(True),
    np.str_("a"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_with_their_type(value):
    back = from_plain(json.loads(json.dumps(to_plain(value), allow_nan=False)))
    assert back == value
    assert type(back) is type(value)


def test_paths_and_devices_come_back_as_str():
    assert from_plain(to_plain([Path("a") / "b", torch.device("cpu")])) == ["a/b", "cpu"]


def test_arrays_and_tables():
    array = np.array([1, 2], dtype=np.int16)
    back = from_plain(to_plain(array))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_columns_of_tables_come_back_with_their_type():
    table = pd.DataFrame(
        {
            "word": pd.Series(["a", "b"], dtype=object),
            "label": [None, "x"],
            "p": np.float32([0.5, np.nan]),
            "unknown": [np.nan, np.nan],
            "n": [1, 2],
            "sure": [True, False],
            "kind": pd.Categorical(["word", None]),
            "family": pd.array([1, None], dtype="Int64"),
        }
    )
    for given in (table, table[:0].drop(columns="kind")):  # categories are those of the rows
        text = json.dumps(to_plain(given), allow_nan=False)
        pd.testing.assert_frame_equal(from_plain(json.loads(text)), given)


def test_tables_of_skcap_0_2_have_no_types():
    found = from_plain({"table": [["word", "p"], [["a", 0.5], ["b", None]]]})
    assert found.to_dict("list") == {
        "word": ["a", "b"],
        "p": [0.5, pytest.approx(np.nan, nan_ok=True)],
    }


PATHS = {
    "/home/me/encoders/mine": NotSaved("the path of the folder 'mine'"),
    "~/encoders/mine/": NotSaved("the path of the folder 'mine'"),
    "all-minilm-l6-v2": "all-minilm-l6-v2",
    "org/encoder": "org/encoder",
}


@pytest.mark.parametrize("model", PATHS)
def test_of_the_path_of_an_encoder_the_name_is_kept(model):
    plain, lost = parameters_to_plain({"model": model})
    assert from_plain(plain["model"]) == PATHS[model]
    assert lost == []


@pytest.mark.parametrize("kind", GUIDANCE.values())
def test_guidance_comes_back(kind):
    assert repr(from_plain(to_plain(kind()))) == repr(kind())


def test_an_audit_without_objects_comes_back():
    guidance = SwapGuidance(audit=ShortcutAudit(fdr=0.2, kinds=("word",)))
    assert repr(from_plain(to_plain(guidance))) == repr(guidance)
    with pytest.raises(TypeError, match="classifier or the prior"):
        to_plain(SwapGuidance(audit=ShortcutAudit(object())))


@pytest.mark.parametrize("value", [object(), {1, 2}, [print], np.array([[1]]), np.array([b"a"])])
def test_what_json_cannot_hold(value):
    with pytest.raises(TypeError, match="JSON cannot hold"):
        to_plain(value)


@pytest.mark.parametrize("value", [{}, {"python": "os"}, {"tuple": [], "path": ""}])
def test_what_is_never_written(value):
    with pytest.raises(ValueError, match="not a value that skcap writes"):
        from_plain(value)
