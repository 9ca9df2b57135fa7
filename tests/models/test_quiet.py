import pytest
from transformers.utils import logging

from skcap import TransformersLLM
from skcap.llm import release_models
from skcap.models.quiet import no_loading_bars


@pytest.fixture(params=[True, False])
def shown(request):
    """Whether the user wants to see progress bars of transformers."""
    before = logging.is_progress_bar_enabled()
    (logging.enable_progress_bar if request.param else logging.disable_progress_bar)()
    yield request.param
    (logging.enable_progress_bar if before else logging.disable_progress_bar)()


def test_the_users_setting_is_restored(shown):
    with no_loading_bars():
        assert not logging.is_progress_bar_enabled()
    assert logging.is_progress_bar_enabled() == shown
    with pytest.raises(KeyError), no_loading_bars():
        raise KeyError
    assert logging.is_progress_bar_enabled() == shown


def test_a_language_model_loads_without_a_bar(tiny_llm, capfd, shown):
    release_models()
    folder = tiny_llm("llama")
    capfd.readouterr()  # saving it has a bar, too
    TransformersLLM(folder).log_likelihood(["a"], ["b"])
    assert capfd.readouterr().err == ""
    assert logging.is_progress_bar_enabled() == shown
