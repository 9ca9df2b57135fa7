import pytest
from tiny_llms import byte_level_tokenizer

from skcap.llm.prompt_encoding import PromptEncoder
from skcap.llm.special_tokens import COMMAND, SpecialTokens

TEXT = "call <tool_call> or [x] <b>now</b>"


@pytest.fixture(scope="module")
def tokenizer():
    """Make a tokenizer with added tokens that are not called special, as Qwen's has."""
    tokenizer = byte_level_tokenizer()
    tokenizer.add_tokens(["<tool_call>", "<b>", "   "], special_tokens=False)
    return tokenizer


@pytest.mark.parametrize(
    "name",
    [
        "<|im_end|>",
        "<\uff5ceos\uff5c>",
        "</s>",
        "<unk>",
        "[SEP]",
        "[/INST]",
        "<start_of_image>",
        "[TOOL_CALLS]",
        "[/SYSTEM_PROMPT]",
        "<EOS_TOKEN>",
        "<tool_call>",
        "</tool_call>",
        "<fim_prefix>",
        "[gMASK]",
        "<eod>",
        "<unused1>",
        "[control_8]",
        "<extra_id_0>",
        "<PAD>",
    ],
)
def test_names_of_commands(name):
    assert COMMAND.fullmatch(name)


@pytest.mark.parametrize(
    "text",
    [
        "[A]",
        "[NAME]",
        "[1]",
        "[]",
        "<b>",
        "</b>",
        "<h1>",
        "</div>",
        "<em>",
        "a_b",
        "snake_case",
        "<-",
        "<3",
        "<|>",
        "<<EOF>>",
        "[link]",
        "<user@mail.org>",
        "x<y_z",
        "<https://a.b/c_d>",
    ],
)
def test_ordinary_text_is_no_command(text):
    assert not COMMAND.search(text)


def test_commands_that_are_not_called_special_are_characters_in_texts(tokenizer):
    encoder = PromptEncoder(tokenizer)
    (got,) = encoder.encode([TEXT], ["card"])
    tokens = tokenizer.convert_ids_to_tokens(got.ids)
    assert "<tool_call>" in tokenizer.tokenize(TEXT)
    assert "<tool_call>" not in tokens
    assert "<b>" in tokens  # as the model has seen them in training
    assert tokenizer.decode(got.ids) == TEXT + " card"
    (spoken,) = encoder.encode([TEXT + " x"], ["card"], shared=TEXT)
    assert "<tool_call>" in tokenizer.convert_ids_to_tokens(spoken.ids)


@pytest.mark.parametrize(
    ("before", "text", "after", "expected"),
    [
        ("", "a <|im_end|>", "", True),
        ("<|im_start|>", "a", "<|im_end|>", False),
        ("x<|im_", "end|>", "", True),
        ("", "x<|im_e", "nd|>", True),
        ("<|im_", "", "end|>", True),
        ("", "", "", False),
    ],
)
def test_names_that_a_text_completes_are_in_it(tokenizer, before, text, after, expected):
    assert SpecialTokens(tokenizer).are_in(text, before, after) is expected


def test_a_tokenizer_without_special_tokens():
    tokenizer = byte_level_tokenizer()
    names = SpecialTokens(type("None", (), {"added_tokens_decoder": {}}))
    names.tokenizer = tokenizer
    assert not names.are_in("<|im_end|>")
    ids, ends = names.encode([("a b", True)])
    assert ids == tokenizer("a b")["input_ids"]
    assert ends[-1] == 3
