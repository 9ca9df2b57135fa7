"""Seeding the process's generators, which all threads share."""

import os
import signal
import threading
import warnings

import numpy as np
import pytest
import torch

from skcap.utils.seeds import seeded, unlocked


def draw():
    return np.random.random(), torch.rand(1).item()  # noqa: NPY002


def states():
    return np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002


@pytest.fixture
def other():
    """Give a thread that draws in a block of its own, and what it has drawn."""
    drawn = []

    def work():
        with seeded(2):
            drawn.append(draw())

    return threading.Thread(target=work, daemon=True), drawn


def test_threads_seed_one_after_another_and_leave_the_generators_as_they_were(other):
    with seeded(1):
        expected = draw()
    before = states()
    thread, drawn = other
    with seeded(1):
        thread.start()
        thread.join(0.2)
        assert drawn == []
        with seeded(3):  # the same thread may go on
            draw()
        assert draw() == expected
    thread.join(20)
    with seeded(2):
        assert drawn == [draw()]
    assert states() == before


def test_a_thread_that_waits_for_others_lets_them_seed(other):
    with seeded(1):
        expected = [draw(), draw()]
    thread, drawn = other
    with seeded(1), seeded(1):
        first = draw()
        with unlocked():
            thread.start()
            thread.join(20)
            assert len(drawn) == 1
        assert [first, draw()] == expected
    with unlocked():  # nothing is locked
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_process_does_not_wait_for_threads_that_it_lacks():
    seeding, over = threading.Event(), threading.Event()

    def work():
        with seeded(1):
            seeding.set()
            over.wait(60)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert seeding.wait(20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: threads and fork
        child = os.fork()
    if not child:
        signal.alarm(20)  # ends a process that waits
        with seeded(2):
            os._exit(0)
    over.set()
    thread.join(20)
    assert os.waitpid(child, 0)[1] == 0
