"""Several processes train one model: losses and weights are those of one process."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed

from skcap.classifier.parallel import ALONE, Team, find_team

SCRIPT = """
import json, sys, warnings
import numpy as np
import torch
torch.set_num_threads(1)
from keyword_task import LABELS, PRIOR, TEXTS
from skcap import GuidedTextClassifier, PriorMatrix
from skcap.guidance import AlignmentGuidance, MaskerGuidance, RationaleGuidance, SwapGuidance
from skcap.classifier.parallel import find_team

model, out = sys.argv[1:]
exact = AlignmentGuidance(path="gausslegendre", n_steps=2)
kinds = {
    "unguided": None,
    "alignment": exact,
    "uneven": exact,
    "rationale": RationaleGuidance(),
    "swap": SwapGuidance(["rain"]),
    "masker": MaskerGuidance(warmup=0, consistency_weight=0),
}
places = np.arange(5)
uneven = [np.where(places <= row % 5, row_of, np.nan) for row, row_of in enumerate(PRIOR.scores)]
found = {}
for name, guidance in kinds.items():
    fixed = {"iterator_train__shuffle": False, "dropout": 0, "batch_size": 9, "label_weight": 0}
    clf = GuidedTextClassifier(
        model, guidance=guidance, max_epochs=2, lr=0.01, device="cpu", random_state=0, **fixed
    )
    clf.fit(PriorMatrix(TEXTS, uneven) if name == "uneven" else PRIOR, LABELS)
    loss = [batch["train_loss"] for epoch in clf.net_.history for batch in epoch["batches"]]
    found[name] = {"loss": loss, "weight": clf.net_.module_.head.weight[0, :5].tolist()}
team = find_team()
with open(f"{out}-{team.rank}-of-{team.size}.json", "w") as file:
    json.dump(found, file)
"""


def launch(folder, model, n):
    script = folder / "train.py"
    script.write_text(SCRIPT)
    out = folder / "found"
    together = ["-m", "torch.distributed.run", "--nproc_per_node", str(n)] if n > 1 else []
    own = [sys.executable, *together, str(script), str(model), str(out)]
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(own, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(Path(f"{out}-{rank}-of-{n}.json").read_text()) for rank in range(n)]


@pytest.fixture
def model(tiny_model, tmp_path):
    """A copy of the tiny encoder that draws no dropout."""
    folder = Path(shutil.copytree(tiny_model("bert"), tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.slow
def test_two_processes_train_as_one(model, tmp_path):
    pytest.importorskip("accelerate")
    (alone,) = launch(tmp_path, model, 1)
    pair = launch(tmp_path, model, 2)
    for name in (
        "unguided",
        "alignment",
        "uneven",
    ):  # what these do does not depend on drawn numbers
        for found in pair:
            np.testing.assert_allclose(found[name]["loss"], alone[name]["loss"], rtol=1e-4)
            np.testing.assert_allclose(found[name]["weight"], alone[name]["weight"], atol=1e-5)
    for name, found in pair[0].items():
        assert found == pair[1][name], name
        assert np.isfinite(found["loss"]).all()


def test_a_process_leaves_the_others_before_it_ends(monkeypatch, tmp_path):
    accelerate = pytest.importorskip("accelerate")
    at_exit = []

    def join(cpu):
        store = distributed.FileStore(str(tmp_path / "store"), 1)
        distributed.init_process_group("gloo", store=store, rank=0, world_size=1)

    monkeypatch.setattr("atexit.register", at_exit.append)
    monkeypatch.setattr(accelerate, "PartialState", join)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert find_team() == ALONE
    (leave,) = at_exit
    leave()
    assert not distributed.is_initialized()
    leave()


def batch_of(n):
    batch = {"weight": torch.arange(1.0, n + 1), "input_ids": torch.arange(n)[:, None]}
    batch["prior"] = torch.ones(n, 2)
    return batch, torch.arange(n)


@pytest.mark.parametrize(("n", "size"), [(9, 2), (8, 2), (1, 3), (5, 4)])
def test_parts_are_the_whole_batch_and_weigh_as_it_does(n, size):
    batch, classes = batch_of(n)
    values = torch.linspace(0.5, 2.0, n)
    whole = (batch["weight"] * values).mean()
    parts, seen = [], []
    for rank in range(size):
        own, own_classes = Team(rank, size).part_of(batch, classes)
        assert own["input_ids"].flatten().tolist() == own_classes.tolist()
        assert own["prior"].isnan().all(dim=1).equal(own["weight"] == 0)
        parts.append((own["weight"] * values[own_classes]).mean())
        seen += own_classes[own["weight"] > 0].tolist()
    torch.testing.assert_close(torch.stack(parts).mean(), whole)
    assert sorted(seen) == list(range(n))


def test_one_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert find_team() == ALONE
    batch, classes = batch_of(4)
    assert ALONE.part_of(batch, classes) == (batch, classes)
    values = torch.ones(3)
    assert ALONE.mean(values) is values
