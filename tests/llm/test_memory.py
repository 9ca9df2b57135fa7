"""Where memory runs out, batches get smaller, and nothing is computed twice."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch

from skcap.llm import TransformersLLM, release_models
from skcap.llm.batches import Batch, TokenBudget, _ran_out_of_memory
from skcap.llm.loaded_model import LoadedModel

BODIES = [
    "where is my card",
    "where is my",
    "i want to top up",
    "why was it declined?",
    "where",
    "top up my account with another card",
    "i lost my card",
    "where is my card",
]
NAMES = ["card arrival", "top up"] * 4
FRAME = {"prefix": "Text: ", "suffix": "\nLabel:"}
ERRORS = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."),
    MemoryError("Unable to allocate 2.00 GiB for an array"),
]


@pytest.fixture(autouse=True)
def _fresh_registry():
    release_models()
    yield
    release_models()


class Memory:
    """Too small for batches of more than `limit` tokens, which fail in the second layer."""

    def __init__(self, llm):
        self.limit, self.error = np.inf, ERRORS[0]
        self.attempts = []  # tokens of each forward
        model = llm._load().model
        model.register_forward_pre_hook(self.count, with_kwargs=True)
        model.model.layers[1].register_forward_pre_hook(self.allocate)

    def count(self, _model, _args, inputs):
        if "attention_mask" in inputs:  # the prefix comes without
            self.attempts.append(inputs["input_ids"].numel())

    def allocate(self, _layer, args):
        if args[0].shape[:2].numel() > self.limit:
            raise self.error


@pytest.fixture
def finished(monkeypatch):
    """Count the prompts of each batch that was scored."""
    counts = []

    def counted(method, n_prompts):
        def score(self, *arguments):
            scores = method(self, *arguments)
            counts.append(n_prompts(arguments[0]))
            return scores

        return score

    def n_in_trees(trees):
        return len({prompt for tree in trees for prompt in tree.prompts.tolist()})

    of_trees = counted(LoadedModel._score_rows_of_trees, n_in_trees)
    monkeypatch.setattr(LoadedModel, "_score_rows_of_trees", of_trees)
    monkeypatch.setattr(LoadedModel, "_score_rows", counted(LoadedModel._score_rows, len))
    return counts


@pytest.fixture(params=[True, False], ids=["tree", "padded"])
def llm(request, tiny_llm):
    return TransformersLLM(
        tiny_llm(), batch_size=200, chat_template=False, reuse_prefix=request.param
    )


def score(llm):
    return llm.log_likelihood(BODIES, NAMES, **FRAME)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_scores_are_those_of_a_machine_with_enough_memory(llm, finished, error):
    expected = score(llm)
    memory = Memory(llm)
    memory.limit, memory.error = 60, error
    finished.clear()
    with pytest.warns(UserWarning, match=r"ran out at batch_size=200.*batch_size=\d+ from") as told:
        got = score(llm)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)
    assert len(told) == 1
    assert f"batch_size={llm._load().budget.limit} " in str(told[0].message)
    failed = [n for n in memory.attempts if n > 60]
    assert memory.attempts[: len(failed)] == failed != []
    assert all(after <= before // 2 for before, after in pairwise(failed))
    assert len(memory.attempts) == len(failed) + len(finished)
    assert sum(finished) == len(BODIES)  # each prompt once


def test_what_was_finished_is_not_computed_again(tiny_llm, finished):
    llm = TransformersLLM(tiny_llm(), batch_size=40, chat_template=False)
    expected = score(llm)
    memory = Memory(llm)
    score(llm)
    enough = memory.attempts.copy()
    assert len(enough) >= 2
    memory.attempts.clear()
    finished.clear()

    def memory_runs_out(*_):
        memory.limit = 20 if finished else np.inf

    llm._load().model.register_forward_pre_hook(memory_runs_out)
    with pytest.warns(UserWarning, match="Memory ran out"):
        got = score(llm)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)
    assert memory.attempts[:2] == enough[:2]  # the first was scored, the second failed
    assert max(memory.attempts[2:]) <= enough[1] // 2
    assert sum(finished) == len(BODIES)


def test_the_lower_size_stays_for_the_loaded_model_alone(llm):
    memory = Memory(llm)
    memory.limit = 60
    with pytest.warns(UserWarning, match="Memory ran out"):
        first = score(llm)
    memory.attempts.clear()
    again = TransformersLLM(**llm.get_params())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(score(again), first, rtol=0, atol=1e-4)
    assert max(memory.attempts) <= 60
    memory.attempts.clear()
    score(again.set_params(batch_size=25))
    # What the user sets below the limit counts; a padded prompt is longer and goes alone.
    assert llm.reuse_prefix is False or max(memory.attempts) <= 25
    release_models()
    assert llm._load().budget.limit is None


def test_a_prompt_that_does_not_fit_alone_raises_the_error_itself(llm):
    expected = score(llm)
    memory = Memory(llm)
    memory.limit = 5
    with pytest.raises(RuntimeError) as raised:
        score(llm)
    assert raised.value is memory.error
    memory.limit = np.inf
    np.testing.assert_allclose(score(llm), expected, rtol=0, atol=1e-4)


def test_equal_prompts_that_do_not_fit_end_in_the_error(llm):
    memory = Memory(llm)
    memory.limit = 8
    with pytest.raises(RuntimeError, match="CUDA out of memory"):
        llm.log_likelihood(["a"] * 4, ["why, please cancel 1 2 3 4 5 6 7"] * 4)
    # A tree holds equal prompts once, so half of it is one prompt; padded rows go 4, 2, 1.
    assert len(memory.attempts) == (2 if llm.reuse_prefix else 3)


def test_other_errors_are_not_tried_again(llm):
    memory = Memory(llm)
    memory.limit, memory.error = 60, RuntimeError("shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="shapes cannot"):
        score(llm)
    assert len(memory.attempts) == 1
    assert llm._load().budget.limit is None


def test_one_token_is_never_halved():
    def refuse():
        raise MemoryError("none left")

    with pytest.raises(MemoryError, match="none left"):
        TokenBudget().score(
            [None] * 2, 8, lambda left, size: iter([Batch(np.arange(2), 1, refuse)])
        )


def test_the_allocators_of_this_machine_are_understood():
    with pytest.raises(RuntimeError) as of_torch:
        torch.empty(2**50, dtype=torch.float64)
    assert _ran_out_of_memory(of_torch.value)
    with pytest.raises(MemoryError) as of_numpy:
        np.empty(2**50)
    assert _ran_out_of_memory(of_numpy.value)
    assert not _ran_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
