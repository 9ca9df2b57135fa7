import importlib.metadata
import tomllib
from pathlib import Path

import skcap
from skcap.utils import versions


def test_versions_are_those_of_this_environment(capsys):
    assert skcap.show_versions() is None
    shown = capsys.readouterr().out
    for package in ("skcap", "torch", "transformers", "scikit-learn"):
        assert f"  {package:<22} {importlib.metadata.version(package)}\n" in shown
    assert "\n  cpu  " in shown
    assert "MISSING" not in shown
    assert str(Path.home()) not in shown


def test_what_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr(versions, "_OPTIONAL", ("no-such-package",))
    assert "  no-such-package        not installed\n" in versions.describe_versions()


def test_all_requirements_are_named():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    required = {line.split(">")[0] for line in project["dependencies"]}
    assert set(versions._REQUIRED) == required | {"skcap"}
