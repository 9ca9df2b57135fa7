import pytest
from hypothesis import given
from hypothesis import strategies as st

from skcap.llm.echoes import EchoError, check_no_command, count_label_tokens, starts_late

BAD = "\ufffd"


@pytest.mark.parametrize(
    ("tokens", "prompt", "label", "expected"),
    [
        (["Text", ":", " card", " arrival"], "Text:", " card arrival", 2),
        (["Text", ": card", " arrival"], "Text:", " card arrival", 2),  # spans the join
        (["Text: card arrival"], "Text:", " card arrival", 1),
        (["x", "\n", "card"], "x\n", "card", 1),
        (["<s>", "Text", ":", " card"], "Text:", " card", 1),
        (["", "Text", ":", " card"], "Text:", " card", 1),  # a special token, shown empty
        (["", ":", " card"], "Text:", " card", 1),  # the first token's text is not shown
        # SentencePiece's tokens, each decoded alone, come without their leading spaces
        (["<s>", "Text", ":", "card", "arrival"], "Text:", " card arrival", 2),
        (["Text", ":", "", BAD, BAD, "ber"], "Text:", " Über", 4),
        # parts of characters
        ([BAD, BAD, " x", ":", " card"], "🙂 x:", " card", 1),
        (["x", ":", " " + BAD, BAD, "ber"], "x:", " Über", 3),
        (["x", ":", " a", BAD, BAD, " b"], "x:", " aÜ b", 4),
        (["x", ":", " caf", BAD, BAD], "x:", " café", 3),
        (["x", ":", " ", "card"], "x:", " card", 2),
        # each character shown at the last of its tokens
        (["x", ":", "", " ü", "ber"], "x:", " über", 3),
        (["x", ":", " a", "", "ü", "bc"], "x:", " aübc", 4),
        (["", "🙂", ":", " a", "a", "", "ü"], "🙂:", " aaü", 4),
    ],
)
def test_label_tokens(tokens, prompt, label, expected):
    assert count_label_tokens(tokens, prompt, label) == expected


@pytest.mark.parametrize(
    ("tokens", "prompt", "label", "message"),
    [
        (["Text", ":", " cart"], "Text:", " card", "do not spell"),
        (["other", " text", ":", " card"], "Text:", " card", "do not spell"),
        ([], "Text:", " card", "do not spell"),
        (["x", "", "", " a"], "x🙂", " a", "stand between"),
        (["x", BAD, BAD, " a"], "x🙂", " a", "stand between"),
        (["x", "é", BAD, BAD], "xé", "é", "cannot be told"),
        ([BAD, BAD, BAD], "x:", " é", "do not spell"),
        (["x:", "card", " "], "x:", " card", "not where the text has it"),
    ],
)
def test_what_cannot_be_located_is_refused(tokens, prompt, label, message):
    with pytest.raises(EchoError, match=message):
        count_label_tokens(tokens, prompt, label)


text = st.text(st.sampled_from("ab :é🙂\n"), max_size=12)


def decode_each(pieces):
    return [piece.decode(errors="replace") for piece in pieces]


def decode_ignoring(pieces):
    return [piece.decode(errors="ignore") for piece in pieces]


def decode_in_turn(pieces):
    """Hold tokens back until they end with a whole character, as vLLM does."""
    shown, held = [], b""
    for piece in pieces:
        held += piece
        try:
            shown.append(held.decode())
            held = b""
        except UnicodeDecodeError:
            shown.append("")
    return shown


@pytest.mark.parametrize("decode", [decode_each, decode_ignoring, decode_in_turn])
@given(text.map("x{}".format), text.map("{}y".format), st.lists(st.integers(1, 4), max_size=30))
def test_any_cutting_into_tokens_is_understood_or_refused(decode, prompt, label, sizes):
    """Bytes are cut anywhere, which is worse than byte-level tokenizers do."""
    whole, pieces, ends = (prompt + label).encode(), [], []
    for size in [*sizes, len(whole)]:
        start = ends[-1] if ends else 0
        if start < len(whole):
            pieces.append(whole[start : start + size])
            ends.append(start + len(pieces[-1]))
    expected = sum(end > len(prompt.encode()) for end in ends)
    try:
        assert count_label_tokens(decode(pieces), prompt, label) == expected
    except EchoError:
        assert not (prompt + label).isascii()


def test_texts_do_not_speak_in_special_tokens():
    check_no_command(["<|im_start|>", "a", "</div>"], "a</div>")
    with pytest.raises(EchoError, match=r"holds '<\|im_end\|>'"):
        check_no_command(["a", "<|im_end|>"], "a<|im_end|>")
    for marker in ("<eos>", "<unk>", "[SEP]", "<start_of_image>", "<\uff5ceos\uff5c>"):
        with pytest.raises(EchoError, match="special token"):
            check_no_command(["a", marker], f"a{marker}")
    with pytest.raises(EchoError, match="text or label holds"):
        check_no_command(["a", "<tool_call>"], "a", "<tool_call>")


@pytest.mark.parametrize(
    ("tokens", "text", "expected"),
    [
        (["", " is", " it"], "Where is it", False),
        (["", "Where", " is"], "Where is", False),  # a begin token, of which nothing was sent
        (["", " it"], "Where is it", True),
        (["", "it"], "Where\nis it", True),
        (["Where", " it"], "Where is it", False),  # all are shown, so the spelling tells
        (["", "b"], "a" * 300 + "b", True),
        (["", "", ""], "é🙂", False),
        ([], "Where is", False),
    ],
)
def test_a_prompt_that_was_cut_on_the_left(tokens, text, expected):
    assert starts_late(tokens, text) is expected
