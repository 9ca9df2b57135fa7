from dataclasses import replace

import pytest

from skcap.adversarial import Edit, LLMWriter, RejectedEditError, RuleWriter, find_problem
from skcap.adversarial.writers import _ASIDES
from skcap.llm import PromptTooLongError
from skcap.llm.chat import ChatError, FakeChat, RefusedError

SWAP = Edit(
    "Where is a card, or the Cards of  2 clients?",
    "card",
    "atm",
    added=("atm", "owner"),
    removed=("card", "client"),
)


def test_replacement_keeps_case_number_articles_punctuation_and_space():
    assert RuleWriter().write(SWAP) == "Where is an atm, or the Atms of  2 owners?"
    edit = Edit("An alarm rings", "x", "y", added=("timer",), removed=("alarm",))
    assert RuleWriter().write(edit) == "A timer rings"
    assert RuleWriter().write(Edit(" alarm ", "x", "y", ("timer",), ("alarm",))) == " timer "


@pytest.mark.parametrize("text", ["Where is my card?", "where is my card", "Card lost", "lost..."])
def test_asides_leave_the_text_whole_and_match_its_style(text):
    seen = set()
    for seed in range(60):
        edit = Edit(text, "x", "y", added=("cash", "withdraw"), seed=seed)
        new = RuleWriter().write(edit)
        assert find_problem(edit, new) is None
        assert '"cash" and "withdraw"' in new
        assert text.rstrip("?.") in new
        if not any(letter.isupper() for letter in text):
            assert new == new.lower()
        assert new.count("?") == text.count("?")
        assert new[-1] in "?." if text[-1] in "?." else new[-1] != "."
        seen.add(new)
    assert len(seen) > 20


def test_asides_speak_of_one_two_and_three_words():
    def words(*added):
        return RuleWriter().write(Edit("go", "x", "y", added=added))

    assert '"a" is' not in words("a")
    assert '"a", "b" and "c"' in words("a", "b", "c")


def test_asides_avoid_keywords():
    avoid = frozenset(["sign", "page", "wall", "stranger", "friend", "crossword", "graffiti"])
    for seed in range(40):
        new = RuleWriter().write(Edit("go", "x", "y", added=("cash",), avoid=avoid, seed=seed))
        assert not avoid & set(new.replace(",", "").split())


def test_asides_ask_nothing_and_deny_nothing():
    assert not [a for a in _ASIDES if "?" in a or {"not", "no", "please"} & set(a.split())]


EDIT = Edit(
    "Pay John 5 euros for my order",
    "pay order",
    "cancel transfer",
    added=("transfer",),
    kept=("order",),
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Pay John 5 euros for my order by transfer", None),
        ("Pay John 5 euros for my orders, seen on transfers", None),
        (" ", "the text is empty"),
        ("Pay John 5 euros for my order by transfer \ud83d", "the text is not valid Unicode"),
        ("Pay John 5 euros\nfor my order by transfer", "the text has more lines than before"),
        ("Pay John  5 euros for my order", "the text was not changed"),
        ("Sure! Pay John 5 euros for my order, transfer", "an answer or a refusal"),
        ("I can't assist with transfer, order, John, 5 euros", "an answer or a refusal"),
        ("Rewritten: Pay John 5 euros for my order by transfer", "an answer or a refusal"),
        ("Pay order transfer", "longer or shorter"),
        ("Pay John 5 euros for my order transfer" + " now" * 20, "longer or shorter"),
        ("Pay John 5 euros for my order by cash", "a wanted keyword is missing"),
        ("Pay John 5 euros for my card by transfer", "a keyword of the true class was lost"),
        ("Pay Jim 5 euros for my order by transfer", "a number or a name"),
        ("Pay John 6 euros for my order by transfer", "a number or a name"),
        ("Pay John 5 euros for my order by transfer 7", "a number or a name"),
        ("Pay John 5 euros for my order, cancel the transfer", "all words of the target's label"),
    ],
)
def test_find_problem(text, problem):
    found = find_problem(EDIT, text)
    assert found is None if problem is None else problem in found


def test_a_text_of_several_lines_may_keep_them():
    edit = replace(EDIT, text=EDIT.text.replace(" for", "\nfor"))
    assert find_problem(edit, "Pay John 5 euros\nfor my order by transfer") is None
    assert find_problem(edit, "Pay John\n5 euros\nfor my order by transfer") is not None


def test_find_problem_wants_replaced_words_gone():
    edit = Edit("my card is lost", "x", "y", added=("phone",), removed=("card",))
    assert find_problem(edit, "my phone is lost") is None
    assert "still there" in find_problem(edit, "my phone cards is lost")


def test_refusal_words_of_the_text_itself_are_no_refusal():
    edit = Edit("I can't create an account", "x", "y", added=("card",))
    assert find_problem(edit, "I can't create an account or card") is None


def test_llm_writer_tells_what_is_wrong_and_asks_again():
    good = "Pay John 5 euros for my order by transfer"
    chat = FakeChat(["I'm not sure", "Pay John for my order by transfer", f'"{good}"'])
    assert LLMWriter(chat, temperature=0.5, max_tokens=50).write(EDIT) == good
    first, second, third = chat.requests_
    assert [r["temperature"] for r in chat.requests_] == [0.0, 0.5, 0.5]
    assert len({r["seed"] for r in chat.requests_}) == 3
    assert first["max_tokens"] == 50
    assert EDIT.text in first["messages"][0]["content"]
    assert "'transfer'" in first["messages"][0]["content"]
    assert second["messages"][1] == {"role": "assistant", "content": "I'm not sure"}
    assert "much longer or shorter" in second["messages"][2]["content"]
    assert len(third["messages"]) == 3
    assert "a number or a name" in third["messages"][2]["content"]


def test_llm_writer_gives_up_with_the_last_reason():
    chat = FakeChat(["no", EDIT.text])
    with pytest.raises(RejectedEditError, match="not changed"):
        LLMWriter(chat, n_tries=2).write(EDIT)
    assert len(chat.requests_) == 2


class Refusing(FakeChat):
    """Answers nothing, with an error."""

    def __init__(self, replies, error):
        super().__init__(replies)
        self.error = error

    def complete(self, messages, **options):
        raise self.error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RefusedError("filtered"), "the model refused the request"),
        (PromptTooLongError("too long"), "the text is too long for the model"),
    ],
)
def test_a_text_that_the_model_does_not_take_is_rejected_alone(error, reason):
    with pytest.raises(RejectedEditError, match=reason):
        LLMWriter(Refusing(["x"], error)).write(EDIT)


def test_a_model_that_does_not_answer_ends_the_work():
    with pytest.raises(ChatError, match="no server"):
        LLMWriter(Refusing(["x"], ChatError("no server"))).write(EDIT)


def test_llm_writer_asks_for_the_swaps_and_survives_braces():
    edit = Edit("my {card}", "x", "y", added=("phone",), removed=("card",), kept=("my",))
    chat = FakeChat(["my {phone}"])
    assert LLMWriter(chat).write(edit) == "my {phone}"
    request = chat.requests_[0]["messages"][0]["content"]
    assert "'card' by 'phone'" in request
    assert "{card}" in request
    assert "these words: 'my'" in request


def test_llm_writer_keeps_quotation_marks_that_belong_to_the_text():
    edit = Edit('"jazz" please', "x", "y", added=("radio",))
    reply = '"jazz" please, "radio"'
    assert LLMWriter(FakeChat([reply])).write(edit) == reply


def test_llm_writer_checks_its_parameters():
    with pytest.raises(TypeError, match=r"'chat' parameter .* 'skcap.llm.chat.base.BaseChat'"):
        LLMWriter("gpt").write(EDIT)
    for parameters in ({"n_tries": 0}, {"temperature": -1.0}, {"max_tokens": 0}):
        with pytest.raises(ValueError, match=f"'{next(iter(parameters))}' parameter"):
            LLMWriter(FakeChat([]), **parameters).write(EDIT)
    assert LLMWriter(FakeChat([])).describe() == "llm:fake"
