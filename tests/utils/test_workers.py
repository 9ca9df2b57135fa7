"""Worker processes end with the process that started them, and are joblib's in all else."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import joblib
import pytest
from joblib.parallel import LokyBackend

from skcap.utils.workers import Processes, start_worker


def test_searches_and_priors_use_it_by_default():
    for backend in (None, "loky"):
        with joblib.parallel_config(backend=backend) if backend else joblib.parallel_config():
            assert type(joblib.parallel.get_active_backend()[0]) is Processes
    with joblib.parallel_config("threading"):
        assert type(joblib.parallel.get_active_backend()[0]) is not Processes


@pytest.fixture
def configured(monkeypatch):
    """Collect what joblib's own backend is asked for."""
    asked = []
    monkeypatch.setattr(LokyBackend, "configure", lambda self, *args, **kw: asked.append(kw) or 2)
    return asked


def test_workers_are_reused_between_calls(configured):
    for _ in range(2):
        assert Processes(nesting_level=0).configure(2, None, max_nbytes=10) == 2
    assert configured[0] == configured[1]
    assert configured[0]["max_nbytes"] == 10


def test_an_initializer_of_the_user_runs_too(configured, monkeypatch):
    Processes(nesting_level=0).configure(2, None, initializer=print, initargs=("hello",))
    assert configured[0]["initializer"] is start_worker
    assert configured[0]["initargs"] == (print, ("hello",))
    monkeypatch.setattr("skcap.utils.workers._end_with_parent", lambda: None)
    called = []
    start_worker(called.append, ("hello",))
    start_worker(None, ())
    assert called == ["hello"]


PARENT = """
    import sys, time
    from joblib import Parallel, delayed
    import skcap.priors
    Parallel(n_jobs=2)(delayed(print)("up", flush=True) for _ in range(2))
    if sys.argv[1] == "busy":
        Parallel(n_jobs=2)(delayed(time.sleep)(60) for _ in range(2))
    time.sleep(60)
"""


def marked(mark):
    """Processes in whose environment there is a mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            pass
    return found


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.parametrize("state", ["busy", "idle", "starting"])
def test_no_worker_outlives_a_killed_parent(state, tmp_path):
    mark = f"skcap-test-{tmp_path}"
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), state],
        env={**os.environ, "SKCAP_TEST_MARK": mark},
        stdout=subprocess.PIPE,
    )
    try:
        if state == "starting":  # parent, its two helpers and a worker that is still importing
            assert wait_until(lambda: len(marked(mark)) >= 4, 60)
        else:
            assert [parent.stdout.readline() for _ in range(2)] == [b"up\n"] * 2
        parent.kill()
        parent.wait()
        assert wait_until(lambda: marked(mark) == [], 30), marked(mark)
    finally:
        for process in marked(mark):
            os.kill(process, signal.SIGKILL)
        parent.stdout.close()
