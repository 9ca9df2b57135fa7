"""Programs that serve a saved model in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

MIXED_TEXTS = ["alarm", "rain on the lights now", "is it music or rain? " * 5, "", "Zebra! 42"]


def run(program: str, folder: Path, **given: Any) -> Any:
    """Run a program that finds `folder` and `given`, and prints JSON as its last line."""
    start = "import json, sys\nfolder, given = sys.argv[1], json.loads(sys.argv[2])\n"
    result = subprocess.run(
        [sys.executable, "-c", start + program, str(folder), json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])
