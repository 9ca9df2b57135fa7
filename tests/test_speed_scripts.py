"""The scripts of the speed suite still fit the library that they measure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("SKCAP_DATA"), reason="needs the public data sets")
@pytest.mark.parametrize("name", ["alignment", "scaling", "together", "training"])
def test_runs_on_a_small_setting(name, tmp_path):
    command = [sys.executable, f"speed_{name}.py", "--small", "--threads", "1"]
    run = subprocess.run(
        [*command, "--output", str(tmp_path)], cwd=FOLDER, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert (tmp_path / f"speed_{name}.json").exists()
