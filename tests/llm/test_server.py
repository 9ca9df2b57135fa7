import asyncio
import logging
import pickle
import random
import re
from types import SimpleNamespace

import numpy as np
import pytest
from language_server import (
    LlamaCpp,
    cut_short,
    drip,
    drip_headers,
    echo,
    flood,
    hang,
    hang_up,
    label_score,
    prompt_logprobs,
    saying,
)
from sklearn.base import clone

from skcap import CAPPriorTransformer
from skcap.llm import PromptTooLongError, ServerError, ServerLLM
from skcap.llm.http import JsonServer, PassingError, parse_json

KEY = "sk-very-secret-0123456789"
BODIES = ["where is my card", "where is my", "i lost it"]
LABELS = ["card arrival", "top up", "lost card"]
PROMPT = {"prefix": "Labels: a, b\nText: ", "suffix": "\nIntent:"}


@pytest.fixture(autouse=True)
def no_memory(monkeypatch):
    monkeypatch.setattr("skcap.llm.server._found", {})


def connect(server, **options):
    options = {"retry_wait": 0.0, "timeout": 5.0, "max_retries": 2} | options
    return ServerLLM(server.url + "/", "tiny", **options)


def expected(bodies=BODIES, labels=LABELS, prefix=PROMPT["prefix"], suffix=PROMPT["suffix"]):
    return [
        label_score(prefix + body + suffix, " " + label)
        for body, label in zip(bodies, labels, strict=True)
    ]


# -- scores ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "name"),
    [(echo, "echo"), (prompt_logprobs, "prompt_logprobs"), (LlamaCpp(), "llama.cpp")],
)
def test_scores_are_those_of_the_label_tokens(serve, model, name):
    llm = connect(serve(model))
    scores = llm.log_likelihood(BODIES, LABELS, **PROMPT)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, expected(), rtol=1e-12)
    assert llm.fingerprint().endswith("|" + name)
    assert llm.log_likelihood([], []).shape == (0,)


@pytest.mark.parametrize("model", [echo, LlamaCpp()])
def test_a_token_that_spans_the_join_counts_as_label(serve, model):
    scores = connect(serve(model)).log_likelihood(["a"], ["x"], prefix="Text: ", suffix="\n\n")
    # the prompt ends in white space, so no space goes before the label, and "\nx" is one token
    np.testing.assert_allclose(scores, [label_score("Text: a\n\n", "x")])


def test_llama_cpp_finds_parts_of_characters(serve):
    server = serve(LlamaCpp())
    llm = connect(server)
    whole = llm.log_likelihood(["a"], ["Über"], **PROMPT)
    shared = [body["cache_prompt"] for path, _, body in server.requests if path == "/completion"]
    assert np.isfinite(whole).all()
    assert all(shared)
    connect(server, reuse_prefix=False).log_likelihood(["a"], ["b"], **PROMPT)
    assert server.requests[-1][2]["cache_prompt"] is False
    assert all(
        body["parse_special"] is False for path, _, body in server.requests if path == "/tokenize"
    )


def test_capability_is_probed_once(serve):
    server = serve()
    llm = connect(server)
    llm.log_likelihood(BODIES, LABELS, **PROMPT)
    n_first = len(server.requests)
    llm.log_likelihood(BODIES, LABELS, **PROMPT)
    assert len(server.requests) - n_first == len(BODIES)


def test_connections_are_bounded(serve):
    server = serve()
    llm = connect(server, n_connections=3)
    llm.log_likelihood(BODIES * 20, LABELS * 20, **PROMPT)
    assert 1 <= server.most_in_flight <= 3


def test_works_where_an_event_loop_runs(serve):
    llm = connect(serve())

    async def notebook_cell():
        return llm.log_likelihood(BODIES, LABELS, **PROMPT)

    np.testing.assert_allclose(asyncio.run(notebook_cell()), expected())


def test_prior_from_a_server(serve, tmp_path):
    server = serve()
    prior = CAPPriorTransformer(connect(server), cache=tmp_path)
    matrix = prior.fit_transform(["where is my card", "top it up"], ["card", "top up"])
    assert len(matrix) == 2
    n_asked = len(server.requests)
    again = CAPPriorTransformer(connect(server), cache=tmp_path)
    again.fit_transform(["where is my card", "top it up"], ["card", "top up"])
    assert {path for path, *_ in server.requests[n_asked:]} == {"/v1/models"}


def test_what_was_scored_stays_scored_when_the_server_fails(serve, tmp_path):
    down = ["Text: top it\n"]

    def model(server, body):
        fails = any(text in body["prompt"] for text in down)
        return ({"error": "out of memory"}, 500) if fails else echo(server, body)

    server = serve(model)
    texts, labels = ["where is my card", "top it up"], ["card", "top up"]
    prior = CAPPriorTransformer(connect(server, max_retries=0), cache=tmp_path)
    with pytest.raises(ServerError, match=r"500 .*out of memory"):
        prior.fit_transform(texts, labels)
    n_asked = len(server.requests)
    down.clear()
    prior.fit_transform(texts, labels)
    prompts = [body.get("prompt", "") for _, _, body in server.requests[n_asked:]]
    assert any("top it" in prompt for prompt in prompts)
    assert not any("Text: where" in prompt for prompt in prompts)


# -- refusals -------------------------------------------------------------------------------------


def shifted(server, body):
    """Show each token the log-probability of the next one, as llama-cpp-python may."""
    reply = echo(server, body)
    if body.get("echo"):
        logprobs = reply["choices"][0]["logprobs"]
        logprobs["token_logprobs"] = [None, *logprobs["token_logprobs"][2:], -0.1]
    return reply


def without_echo(server, body):
    return echo(server, {**body, "echo": False})


def without_logprobs(server, body):
    reply = echo(server, body)
    reply["choices"][0]["logprobs"] = None
    return reply


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (shifted, "echo: its log-probabilities of prompts are wrong"),
        (without_echo, "echo: it does not echo the prompt"),
        (without_logprobs, "echo: it echoes the prompt without log-probabilities"),
        (lambda server, body: {"choices": []}, "not a completion with one choice"),
        (lambda server, body: ({"error": "Only no echo is supported"}, 400), "Only no echo is"),
    ],
)
def test_servers_that_cannot_do_it_are_refused_with_the_reason(serve, model, reason):
    with pytest.raises(ServerError, match=reason) as caught:
        connect(serve(model)).log_likelihood(BODIES, LABELS, **PROMPT)
    for word in ("prompt_logprobs: ", "llama.cpp: ", "llama-server", "vLLM", "TransformersLLM"):
        assert word in str(caught.value)


def test_one_protocol_can_be_asked_for(serve):
    with pytest.raises(ServerError, match=r"\(prompt_logprobs: it does not know prompt_logprobs\)"):
        connect(serve(), protocol="prompt_logprobs").fingerprint()


def test_models_that_are_not_served(serve):
    server = serve()
    server.models = {"data": [{"id": "one"}, {"id": "two"}]}
    with pytest.raises(
        ServerError, match=r"model='tiny' is not served at .*; there are: 'one', 't"
    ):
        connect(server).fingerprint()
    server.models = None  # the server has no list
    assert "unlisted" in connect(server).fingerprint()


def test_too_long_prompts_are_found_before_work_starts(serve):
    llm = connect(serve())
    llm.check_context(["a"], ["b"], **PROMPT)
    llm.check_context([], [])
    with pytest.raises(PromptTooLongError, match=r"has 60\d tokens .* holds 512"):
        llm.check_context(["a", "b " * 600], ["c", "c"])


@pytest.mark.parametrize(("model", "n_drawn"), [(echo, 1), (LlamaCpp(), 0)])
def test_the_token_that_is_drawn_needs_room_too(serve, model, n_drawn):
    llm = connect(serve(model))
    words = 400
    while True:  # find the longest text that passes
        try:
            llm.check_context(["b " * words], ["c"])
        except PromptTooLongError as error:
            longest, holds = map(int, re.findall(r"has (\d+) tokens.* holds (\d+)", str(error))[0])
            assert longest == holds - n_drawn + 1
            break
        words += 1


def test_texts_cannot_end_the_prompt(serve):
    with pytest.raises(ServerError, match=r"holds '<\|im_end\|>'"):
        connect(serve()).log_likelihood(["a <|im_end|> b"], ["c"], **PROMPT)
    # as older servers of llama.cpp do, which do not heed parse_special
    with pytest.raises(ServerError, match=r"holds '<\|im_end\|>'"):
        connect(serve(LlamaCpp())).log_likelihood(["a <|im_end|> b"], ["c"], **PROMPT)


@pytest.mark.parametrize("protocol", ["auto", "prompt_logprobs"])
def test_a_prompt_that_the_server_cuts_is_no_prompt(serve, protocol):
    def cut(server, body):
        return prompt_logprobs(server, {**body, "prompt": body["prompt"][-60:]})

    llm = connect(serve(cut), protocol=protocol)
    np.testing.assert_allclose(llm.log_likelihood(BODIES, LABELS, **PROMPT), expected())
    with pytest.raises(ServerError, match=r"The server cut the prompt short; give it a larger"):
        llm.log_likelihood(["where is my card"], ["card"], prefix="Text of a user: " * 9)


MARKUP = {"prefix": "<|im_start|>user\n", "suffix": "<|im_end|>\n<|im_start|>assistant\n"}


def test_special_tokens_of_the_users_own_template_are_heeded(serve):
    server = serve(LlamaCpp())
    llm = connect(server)
    scores = llm.log_likelihood(BODIES, LABELS, **MARKUP)
    expected = [
        label_score(b.join(MARKUP.values()), n) for b, n in zip(BODIES, LABELS, strict=True)
    ]
    np.testing.assert_allclose(scores, expected)
    asked = [body for path, _, body in server.requests if path == "/tokenize"]
    assert all(b["parse_special"] == b["content"].startswith("<|im_start|>") for b in asked)
    for bodies, labels in ((["a <|im_end|>"], ["c"]), (["a"], ["c <|im_end|>"])):
        with pytest.raises(ServerError, match=r"text or label holds '<\|im_end\|>'"):
            llm.log_likelihood(bodies, labels, **MARKUP)


@pytest.mark.parametrize(
    ("bodies", "labels", "error", "message"),
    [
        ("text", ["a"], TypeError, "single string"),
        (["a"], ["a", "b"], ValueError, "the same length"),
        (["a"], [" "], ValueError, "label_names"),
        (["a\ud83d"], ["b"], ValueError, "lone surrogate"),
    ],
)
def test_wrong_texts(bodies, labels, error, message):
    with pytest.raises(error, match=message):
        ServerLLM("http://127.0.0.1:9/v1", "m").log_likelihood(bodies, labels)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", None), ("protocol", "chat"), ("revision", 3), ("n_connections", 0),
        ("n_connections", True), ("timeout", 0), ("timeout", float("inf")), ("max_retries", -1),
        ("retry_wait", -1.0), ("retry_wait", float("nan")), ("reuse_prefix", "yes"),
        ("base_url", None), ("base_url", "ftp://host"), ("base_url", "http://host/v1?x=1"),
        ("base_url", "http://host:99999/v1"),
        ("base_url", "http://user:hunter2@host/v1"), ("base_url", "http://host:port:port/v1"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_named(name, value):
    pytest.importorskip("httpx")
    llm = ServerLLM("http://127.0.0.1:9/v1", "m").set_params(**{name: value})
    with pytest.raises(ValueError, match=name) as caught:
        llm.log_likelihood(["a"], ["b"])
    assert "hunter2" not in str(caught.value)


# -- servers that misbehave -----------------------------------------------------------------------

DEEP = b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    "fault",
    [
        saying("oops", 500),
        saying("busy", 429, Retry_After="0"),
        saying("overloaded", 529),
        saying("busy", 503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
        saying(b'{"choices": [{"text": "Lab'),
        saying(b"\xff\xfe"),
        saying(b""),
        saying([1]),
        saying(DEEP),
        cut_short,
        hang_up,
    ],
)
def test_passing_faults_are_retried(serve, fault):
    server = serve()
    llm = connect(server, n_connections=1)
    llm.fingerprint()
    server.faults = [fault, fault]
    np.testing.assert_allclose(llm.log_likelihood(BODIES, LABELS, **PROMPT), expected())
    server.faults = [fault] * 3
    with pytest.raises(ServerError, match=server.url):
        llm.log_likelihood(BODIES, LABELS, **PROMPT)


@pytest.mark.parametrize("fault", [hang, drip, drip_headers])
def test_slow_replies_are_cut_off(serve, fault):
    server = serve()
    llm = connect(server, max_retries=1)
    llm.fingerprint()
    llm.timeout = 0.3
    server.faults = [fault, fault]
    with pytest.raises(ServerError, match=r"within 0\.3 seconds \(timeout\)"):
        llm.log_likelihood(["a"], ["b"], **PROMPT)


def echo_with(**changes):
    """Say what a good server says of a prompt, but for some of its fields."""

    def fault(handler):
        body = handler.server_of_test.requests[-1][2]
        reply = echo(None, body)
        reply["choices"][0].update(changes.get("choice", {}))
        for name, change in changes.get("logprobs", {}).items():
            reply["choices"][0]["logprobs"][name] = change(reply["choices"][0]["logprobs"][name])
        reply.update(changes.get("reply", {}))
        saying(reply)(handler)

    return fault


def replace_all(value):
    return lambda values: [value] * len(values)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (echo_with(logprobs={"token_logprobs": lambda v: v[:-1]}), "log-probabilities for"),
        (echo_with(logprobs={"tokens": lambda v: v[:-1], "token_logprobs": lambda v: v[:-1]}),
         "do not spell"),
        (echo_with(logprobs={"tokens": lambda v: [*v[:3], *v[4:], "x"]}), "do not spell"),
        (echo_with(logprobs={"token_logprobs": replace_all(float("nan"))}), "is nan"),
        (echo_with(logprobs={"token_logprobs": replace_all(float("-inf"))}), "is -inf"),
        (echo_with(logprobs={"token_logprobs": replace_all(0.5)}), "above 0 or not finite"),
        (echo_with(logprobs={"token_logprobs": replace_all("-1")}), "is not a number"),
        (echo_with(logprobs={"token_logprobs": replace_all(True)}), "is not a number"),
        (echo_with(choice={"text": "another prompt"}), "does not echo"),
        (echo_with(choice={"logprobs": [3]}), "without log-probabilities"),
        (echo_with(reply={"usage": {}}), "usage"),
        (echo_with(reply={"usage": {"completion_tokens": 7}}), "drew 7 tokens"),
        (echo_with(reply={"choices": [{}, {}]}), "one choice"),
        (saying({}, Content_Encoding="gzip"), "compressed reply"),
        (flood, "more than 32 MiB"),
        (saying("moved", 302, Location="http://127.0.0.2:9/"), "302 Found. Redirects are not"),
        (saying("moved", 307, Location="/v1/elsewhere"), "307 .*base_url"),
        (saying("no", 401), "401 Unauthorized"),
        (saying("no", 799), "answered 799"),
        (saying("no", 501), "answered 501"),
        (echo_with(logprobs={"token_logprobs": replace_all(10**400)}), "above 0 or not finite"),
    ],
)  # fmt: skip
def test_final_faults_are_told_and_nothing_is_scored(serve, fault, message):
    server = serve()
    llm = connect(server)
    llm.fingerprint()
    n_asked, server.faults = len(server.requests), [fault]
    with pytest.raises(ServerError, match=message) as caught:
        llm.log_likelihood(["where is my card"], ["lost card"], **PROMPT)
    assert server.url in str(caught.value)
    assert len(str(caught.value)) < 700
    assert len(server.requests) == n_asked + 1


@pytest.mark.parametrize("n_bytes", [25, 12])
@pytest.mark.parametrize("status", [401, 500, 302, 200])
def test_keys_that_come_back_are_not_shown(serve, monkeypatch, caplog, status, n_bytes):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", KEY + "\n")
    server = serve()
    llm = connect(server, api_key_env="MY_KEY", max_retries=0)
    llm.fingerprint()
    assert server.requests[-1][1]["Authorization"] == f"Bearer {KEY}"
    part = KEY[:n_bytes]
    server.faults = [saying(f"wrong key {part}!".encode(), status)]
    with pytest.raises(
        ServerError, match=str(status) if status != 200 else "not complete"
    ) as caught:
        llm.log_likelihood(["a"], ["b"], **PROMPT)
    shown = [str(caught.value), repr(llm), str(llm.get_params()), caplog.text, llm.fingerprint()]
    assert part not in " ".join(shown)
    assert caught.value.__cause__ is None
    assert KEY.encode() not in pickle.dumps(llm)


@pytest.mark.parametrize(
    ("variable", "key"),
    [("MY_KEY", "sk-very\nsecret"), ("MY_KEY", "sk-very secret"), ("MY_KEY", "sk-vèry-secret"),
     ("MY_KEY", " "), ("sk-very-secret", None), (b"sk-very", None)],
)  # fmt: skip
def test_wrong_keys_are_refused_and_not_shown(serve, monkeypatch, variable, key):
    if key is not None:
        monkeypatch.setenv(variable, key)
    with pytest.raises(ValueError, match="api_key_env") as caught:
        connect(serve(), api_key_env=variable).log_likelihood(["a"], ["b"])
    assert "very" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_no_key_is_sent_where_none_is_named(serve):
    server = serve()
    connect(server).log_likelihood(["a"], ["b"], **PROMPT)
    assert all("Authorization" not in headers for _, headers, _ in server.requests)


def test_no_server():
    pytest.importorskip("httpx")
    with pytest.raises(ServerError, match="cannot be reached"):
        ServerLLM("http://127.0.0.1:9/v1", "m", max_retries=1, retry_wait=0.0).fingerprint()


def test_waits_grow_vary_and_heed_the_server():
    server = JsonServer("http://a", None, 1.0, 9, 1.0, 1)

    def wait(attempt, asked=None):
        error = PassingError("busy", asked)
        outcome = SimpleNamespace(exception=lambda: error)
        return server._wait(SimpleNamespace(attempt_number=attempt, outcome=outcome))

    state = random.getstate()
    for attempt in (1, 3):
        waits = [wait(attempt) for _ in range(50)]
        assert 0.5 * 2 ** (attempt - 1) <= min(waits) < max(waits) <= 1.5 * 2 ** (attempt - 1)
    assert wait(1, 30.0) == 30.0
    assert wait(1, 9000.0) == wait(12) == 60.0
    assert random.getstate() == state  # the user's generator


def test_json_depth_is_counted_outside_of_strings():
    assert parse_json(b'{"a": "[[[[\\"[", "b": [[1]]}') == {"a": '[[[["[', "b": [[1]]}
    assert parse_json(b'{"a": "' + b"[" * 1000 + b'"}')["a"] == "[" * 1000
    with pytest.raises(ValueError, match="nests deeper than 64 levels"):
        parse_json(b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}")


# -- identity -------------------------------------------------------------------------------------


def test_fingerprint_is_of_the_model_not_of_the_address(serve):
    one, two = serve(), serve()
    assert connect(one).fingerprint() == connect(two, timeout=9.0).fingerprint()
    assert connect(one, revision="b").fingerprint() != connect(two).fingerprint()
    for field in ({"root": "other"}, {"meta": {"size": 3}}):
        two.models = {"data": [{"id": "tiny", "created": 7, **field}]}
        assert connect(one).fingerprint() != connect(two).fingerprint()
    two.models = {"data": [{"id": "tiny", "created": 7}]}
    assert connect(one).fingerprint() == connect(two).fingerprint()


def test_it_holds_parameters_only(serve):
    llm = connect(serve())
    llm.log_likelihood(["a"], ["b"], **PROMPT)
    assert vars(clone(llm)) == vars(llm) == llm.get_params()
    again = pickle.loads(pickle.dumps(llm))
    np.testing.assert_array_equal(
        again.log_likelihood(["a"], ["b"], **PROMPT), llm.log_likelihood(["a"], ["b"], **PROMPT)
    )


def test_a_reply_that_ends_in_a_string_is_read_at_once():
    content = b'{"a": "' + b'\\"' * 500_000  # minutes, if the search began anew at each quote
    with pytest.raises(ValueError, match="not complete JSON"):
        parse_json(content)


def test_no_proxy_is_asked_for_this_machine(serve, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    scores = connect(serve()).log_likelihood(BODIES, LABELS, **PROMPT)
    np.testing.assert_allclose(scores, expected(), rtol=1e-12)


@pytest.mark.parametrize("proxy", ["http://me:hunter2@host:port", "ftp://hunter2"])
def test_a_proxy_that_is_none_is_told_without_its_address(monkeypatch, proxy):
    for module in ("anyio", "httpx", "tenacity"):
        pytest.importorskip(module)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", proxy)
    llm = ServerLLM("http://llm.invalid/v1", "tiny", max_retries=0)
    with pytest.raises(ServerError, match="HTTP_PROXY, HTTPS_PROXY or ALL_PROXY") as caught:
        llm.fingerprint()
    assert "hunter2" not in str(caught.value)


def test_a_server_that_fails_at_one_way_of_asking_is_asked_in_another(serve):
    class Failing(LlamaCpp):
        def __call__(self, server, body):
            if body.get("echo"):
                return {"message": "Only no echo is supported"}, 500
            return super().__call__(server, body)

    llm = connect(serve(Failing()), max_retries=0)
    np.testing.assert_allclose(llm.log_likelihood(BODIES, LABELS, **PROMPT), expected())
    with pytest.raises(PassingError, match="Only no echo"):
        connect(serve(Failing()), max_retries=0, protocol="echo").fingerprint()


def test_another_program_at_the_same_address_is_found_out(serve):
    server = serve()
    llm = connect(server)
    llm.fingerprint()
    server.model = LlamaCpp()
    with pytest.raises(ServerError):
        llm.log_likelihood(BODIES, LABELS, **PROMPT)
    np.testing.assert_allclose(llm.log_likelihood(BODIES, LABELS, **PROMPT), expected())


def test_numbers_of_numpy_are_numbers(serve):
    llm = connect(serve(LlamaCpp()), n_connections=np.int64(2), reuse_prefix=np.True_)
    np.testing.assert_allclose(llm.log_likelihood(BODIES, LABELS, **PROMPT), expected())


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("key", [None, KEY])
def test_a_key_that_is_refused_is_told_at_once(serve, monkeypatch, status, key):
    monkeypatch.setenv("MY_KEY", KEY)
    server = serve()
    server.answer = lambda path, body: ({"error": "Unauthorized"}, status)
    llm = connect(server, api_key_env=None if key is None else "MY_KEY")
    told = "wants a key" if key is None else "refuses the key"
    with pytest.raises(ServerError, match=f"{status} .*Unauthorized.*{told}: set api_key_env"):
        llm.log_likelihood(BODIES, LABELS, **PROMPT)
    assert len(server.requests) == (1 if status == 401 else 2)


def test_a_list_that_is_forbidden_is_not_needed(serve):
    server = serve()
    answer = server.answer
    server.answer = lambda path, body: (
        ({"error": "missing scope"}, 403) if path == "/v1/models" else answer(path, body)
    )
    np.testing.assert_allclose(connect(server).log_likelihood(BODIES, LABELS, **PROMPT), expected())


def test_an_address_without_v1(serve):
    server = serve()
    llm = connect(server).set_params(base_url=server.url.removesuffix("/v1"))
    with pytest.raises(ServerError, match=r"Nothing is served at .*; does base_url lack '/v1'"):
        llm.fingerprint()


@pytest.mark.parametrize("error", ["overloaded", {"message": "overloaded", "code": 503}])
def test_errors_that_come_as_replies_are_shown_without_the_key(serve, monkeypatch, error):
    monkeypatch.setenv("MY_KEY", KEY)
    told = [error]
    server = serve(lambda server, body: {"error": told[0]})
    llm = connect(server, api_key_env="MY_KEY")
    with pytest.raises(ServerError, match=r"/completions sent an error: overloaded"):
        llm.fingerprint()
    told[0] = {"message": f"wrong key {KEY}"}
    with pytest.raises(ServerError, match=r"sent an error: .not shown") as caught:
        llm.fingerprint()
    assert KEY not in str(caught.value)
