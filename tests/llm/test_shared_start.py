import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llms import CHAT_TEMPLATE, CORPUS, byte_level_tokenizer, metaspace_tokenizer
from tokenizers import Regex, normalizers, pre_tokenizers

from skcap.llm.prompt_encoding import PromptEncoder
from skcap.llm.shared_start import find_start

PREFIX = "Give the label.\n\nLabels: card arrival, ét\u00e9, top up 12\n\nText: "
# What stands where the shared text ends decides what is safe.
PIECES = [
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "card",
    "s",
    "'s",
    "'",
    "1",
    "234",
    ".",
    ":",
    "é",
    "中",
    "🙂",
]
ENDS = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
BODIES = st.lists(
    st.one_of(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), st.text(max_size=8)),
    min_size=1,
    max_size=5,
)


def digits_from_the_right():
    """Cut numbers into threes from the right, as some do: what follows moves the cuts."""
    tokenizer = byte_level_tokenizer()
    threes = pre_tokenizers.Split(Regex(r"\d{1,3}(?=(?:\d{3})*(?!\d))"), "isolated")
    backend = tokenizer.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Sequence([threes, backend.pre_tokenizer])
    numbers = [str(number) for number in range(1000)]
    return tokenizer.train_new_from_iterator(CORPUS + numbers, 700)


MAKERS = {
    "bytes": byte_level_tokenizer,
    "chat": lambda: byte_level_tokenizer(chat_template=CHAT_TEMPLATE),
    "metaspace": metaspace_tokenizer,
    "threes": digits_from_the_right,
}
ENCODERS = {name: PromptEncoder(make()) for name, make in MAKERS.items()}


@pytest.mark.parametrize("kind", MAKERS)
@settings(deadline=None, max_examples=150)
@given(end=ENDS, bodies=BODIES)
def test_tokens_are_those_of_whole_prompts(kind, end, bodies):
    encoder, shared = ENCODERS[kind], PREFIX + end
    prompts = [shared + body + "\nLabel:" for body in bodies]
    if any("\ud800" <= character <= "\udfff" for body in bodies for character in body):
        return  # refused before they are encoded
    names = ["card arrival"] * len(prompts)
    assert encoder.encode(prompts, names, shared=shared) == encoder.encode(prompts, names)


@pytest.mark.parametrize("kind", ["bytes", "chat", "threes"])
def test_nearly_all_of_a_prefix_is_kept(kind):
    encoder = ENCODERS[kind]
    shared = encoder.head + PREFIX
    start = find_start(encoder.tokenizer, shared)
    assert len(shared) - 8 < start.n_chars < len(shared)
    assert encoder.tokenizer.decode(start.ids) == shared[: start.n_chars]


def test_where_numbers_are_cut_from_the_right_a_number_at_the_end_is_not_kept():
    end = "1234567890123"
    assert find_start(ENCODERS["threes"].tokenizer, PREFIX + end).n_chars == 0
    assert find_start(ENCODERS["bytes"].tokenizer, PREFIX + end).n_chars > 0


def test_nothing_is_kept_where_tokens_may_depend_on_what_follows():
    normalized = byte_level_tokenizer()
    normalized.backend_tokenizer.normalizer = normalizers.NFC()
    named = byte_level_tokenizer()
    named.add_tokens(["card arrival"])
    spaced = byte_level_tokenizer()
    spaced.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    for tokenizer in (normalized, named, spaced, metaspace_tokenizer()):
        assert find_start(tokenizer, PREFIX).n_chars == 0


@pytest.mark.parametrize("shared", ["", "a", "Text:", " ", "\n\n"])
def test_short_beginnings_are_not_kept(shared):
    assert find_start(ENCODERS["bytes"].tokenizer, shared).n_chars == 0


def test_the_start_is_found_once_for_calls_that_share_it(monkeypatch):
    found = []

    def counted(tokenizer, shared):
        found.append(shared)
        return find_start(tokenizer, shared)

    monkeypatch.setattr("skcap.llm.prompt_encoding.find_start", counted)
    encoder = PromptEncoder(byte_level_tokenizer())
    for shared in (PREFIX, PREFIX, "other", "other", PREFIX):
        encoder.encode([shared + "my card"], ["card"], shared=shared)
    assert found == [PREFIX, "other", PREFIX]
