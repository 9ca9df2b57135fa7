"""What `import skcap` costs beyond `import sklearn`, and which heavy packages it pulls in.

    python benchmarks/speed_imports.py [--repeats 15]

Every import is timed in a fresh interpreter, in alternation, warmed up before.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from _suite import finish, parse, parser_of, target

HEAVY = (
    "captum",
    "datasets",
    "lime",
    "matplotlib",
    "pandas",
    "shap",
    "skorch",
    "torch",
    "transformers",
)
STATEMENTS = ("import sklearn", "import skcap", "import sklearn, skcap")
CODE = """
import json, sys, time
start = time.perf_counter()
{statement}
seconds = time.perf_counter() - start
print(json.dumps([seconds, [name for name in {heavy} if name in sys.modules]]))
"""


def measure(statement: str) -> tuple[float, list[str]]:
    """Run a statement in a fresh interpreter: its seconds, and the heavy packages then loaded."""
    code = CODE.format(statement=statement, heavy=HEAVY)
    run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    seconds, heavy = json.loads(run.stdout)
    return seconds, heavy


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    options = parse(parser)
    repeats = 3 if options.small else options.repeats
    seconds: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    for turn in range(repeats + 1):
        for statement in STATEMENTS:
            taken, _ = measure(statement)
            if turn:  # the first round fills the disk's cache
                seconds[statement].append(taken)
    medians = {statement: statistics.median(values) for statement, values in seconds.items()}
    # Not the import alone: skcap does not even import sklearn, so that would come out negative.
    added = medians["import sklearn, skcap"] - medians["import sklearn"]
    heavy = measure("import skcap")[1]
    figures = {
        "repeats": repeats,
        "seconds": medians,
        "heavy": heavy,
        "targets": [
            target(9, "what import skcap adds to import sklearn", added, 0.3, "s"),
            target(9, "heavy packages that import skcap pulls in", len(heavy), 0, "packages"),
        ],
    }
    finish("speed_imports", figures, options)


if __name__ == "__main__":
    main()
