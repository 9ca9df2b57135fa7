"""Extraction and search on processes, on Dask and on Ray (`make test-clusters`).

Each cluster is real, has two worker processes on 127.0.0.1, and is used through nothing but
``joblib.parallel_config``.
"""

import os
import signal
from pathlib import Path

import joblib
import numpy as np
import pytest
from cluster_llms import DeadlyLLM, WatchedLLM, read_notes
from sklearn.model_selection import GridSearchCV

from skcap import CAPPriorTransformer, FakeLLM, GuidedTextClassifier
from skcap.inspection import compare_guidance

pytestmark = pytest.mark.slow

HERE = str(Path(__file__).parent)
TEXTS = [
    f"{verb} {thing} {when}"
    for verb in ("play", "stop", "find")
    for thing in ("some jazz", "my alarm")
    for when in ("now", "at seven please", "")
]
LABELS = ["music" if "jazz" in text else "alarm" for text in TEXTS]


def dask_cluster():
    distributed = pytest.importorskip("distributed")
    return distributed.Client(
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        )
    )


class RayCluster:
    def __init__(self):
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["RAY_raylet_start_wait_time_s"] = "120"  # cores may be busy
        self.ray = pytest.importorskip("ray")
        from ray.util.joblib import register_ray

        paths = os.pathsep.join([HERE, *filter(None, [os.environ.get("PYTHONPATH")])])
        self.ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            runtime_env={"env_vars": {"PYTHONPATH": paths}},
        )
        register_ray()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.ray.shutdown()


@pytest.fixture(params=["loky", "dask", "ray"])
def cluster(request):
    """Name of a backend whose two workers are up."""
    if request.param == "loky":
        yield "loky"
        return
    with dask_cluster() if request.param == "dask" else RayCluster():
        yield request.param


@pytest.fixture(autouse=True)
def end_in_time():
    """Nothing here may hang for ever."""

    def stop(*_):
        raise TimeoutError("a test on a cluster took more than eight minutes")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(480)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def extract(llm, cluster=None, **options):
    prior = CAPPriorTransformer(llm, n_jobs=2 if cluster else 1, **{"cache": False, **options})
    with joblib.parallel_config(backend=cluster or "sequential"):
        return prior.fit_transform(TEXTS, LABELS)


def assert_same(one, other):
    assert list(one.texts) == list(other.texts)
    for scores, others in zip(one.scores, other.scores, strict=True):
        np.testing.assert_array_equal(scores, others)


def test_extraction_is_that_of_one_process(cluster, tmp_path):
    assert_same(extract(FakeLLM(), cluster, cache=tmp_path), extract(FakeLLM()))


def test_each_worker_loads_the_model_once(cluster, tiny_llm, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notes = str(tmp_path / "notes")
    llm = WatchedLLM(tiny_llm("llama"), notes=notes)
    first = extract(llm, cluster)
    extract(llm.set_params(notes=notes), cluster)
    copies = {tuple(note) for note in read_notes(notes)}
    processes = {process for process, _ in copies}
    # Ray has new workers for each call, the others keep theirs.
    assert len(copies) == len(processes) == (4 if cluster == "ray" else 2)
    assert os.getpid() not in processes
    alone = extract(WatchedLLM(tiny_llm("llama"), notes=str(tmp_path / "alone")))
    for scores, others in zip(first.scores, alone.scores, strict=True):
        np.testing.assert_allclose(scores, others, rtol=1e-6, atol=1e-6)


def test_search_is_that_of_one_process(cluster, tiny_model):
    classifier = GuidedTextClassifier(
        tiny_model("bert"),
        guidance="alignment",
        device="cpu",
        max_epochs=2,
        batch_size=8,
        random_state=0,
    )
    grid = {"beta": [0.0, 1.0], "lr": [0.01]}
    matrix = extract(FakeLLM())

    def search(backend, n_jobs):
        with joblib.parallel_config(backend=backend):
            found = GridSearchCV(classifier, grid, cv=2, n_jobs=n_jobs, error_score="raise")
            return found.fit(matrix, LABELS)

    spread, alone = search(cluster, 2), search("sequential", 1)
    np.testing.assert_allclose(
        spread.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )
    assert spread.best_params_ == alone.best_params_
    np.testing.assert_allclose(
        spread.predict_proba(TEXTS), alone.predict_proba(TEXTS), rtol=1e-4, atol=1e-5
    )


def test_a_comparison_is_that_of_one_process(cluster, tiny_model):
    classifier = GuidedTextClassifier(
        tiny_model("bert"), guidance="alignment", device="cpu", max_epochs=1, random_state=0
    )
    prior = CAPPriorTransformer(FakeLLM(), cache=False)

    def compare(backend, n_jobs):
        with joblib.parallel_config(backend=backend):
            return compare_guidance(
                classifier, TEXTS, LABELS, prior=prior, cv=2, n_jobs=n_jobs, verbose=0
            )

    spread, alone = compare(cluster, 2), compare("sequential", 1)
    np.testing.assert_allclose(spread.scores, alone.scores)


def test_what_was_scored_stays_scored_when_a_worker_is_killed(cluster, tmp_path):
    texts = [*TEXTS, "poison at the end"]
    labels = [*LABELS, "alarm"]
    weapon, log = tmp_path / "weapon", tmp_path / "log"
    weapon.touch()
    llm = DeadlyLLM(log_path=str(log), home=os.getpid(), weapon=str(weapon))
    prior = CAPPriorTransformer(llm, n_jobs=2, cache=tmp_path / "cache")
    told = ""
    try:
        with joblib.parallel_config(backend=cluster):
            prior.fit_transform(texts, labels)
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
    print(f"{cluster}: {told or 'finished'}")
    assert not weapon.exists()
    n_scored = len(read_notes(log))
    matrix = CAPPriorTransformer(llm, cache=tmp_path / "cache").fit_transform(texts, labels)
    rescored = read_notes(log)[n_scored:]
    print(f"{len(rescored)} of {n_scored} bodies were scored again")
    assert "kill" in told.lower() or "died" in told.lower() if told else not rescored
    alone = CAPPriorTransformer(FakeLLM(), cache=False).fit_transform(texts, labels)
    assert_same(matrix, alone)
