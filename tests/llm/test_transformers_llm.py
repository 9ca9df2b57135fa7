import pickle
import shutil
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone

from skcap.llm import (
    PromptTooLongError,
    TransformersLLM,
    dtypes,
    loaded_model,
    loading,
    release_models,
    resolve_llm,
)
from skcap.llm.loaded_model import LoadedModel
from skcap.llm.prompt_encoding import EncodedPrompt, PromptEncoder
from skcap.models import ModelLoadError

PREFIX = "Classify the text.\n\nLabels: card arrival, card arrival delay, top up\n\nText: "
SUFFIX = "\nLabel:"
# Ragged, with empty and blank bodies, and with spaces and punctuation at the joins.
BODIES = [
    "where is my card",
    "where is",
    "",
    " ",
    "card ",
    " card",
    "top up, please!",
    "is my card",
]
BODIES += ["é 🙂 مرحبا", "where is my card", "a {b} %s", "x\n"]
# Of several tokens, some with the same first token, some a beginning of another.
NAMES = ["card", "card arrival", "card arrival delay", "top up", "!", "cancel transfer"]
LABELS = [NAMES[i % len(NAMES)] for i in range(len(BODIES))]
TREE_FAMILIES = ("llama", "gpt2", "metaspace", "mistral", "gemma2")


@pytest.fixture(autouse=True)
def _fresh_registry():
    release_models()
    yield
    release_models()


def loaded(llm):
    return llm._load()


class Reference:
    """Scores each full prompt alone, the straightforward way, with its own idea of the join."""

    def __init__(self, folder, chat=None):
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.chat = self.tokenizer.chat_template is not None if chat is None else chat

    def __call__(self, bodies, labels, prefix="", suffix=""):
        return np.array(
            [self.score(prefix + b + suffix, n) for b, n in zip(bodies, labels, strict=True)]
        )

    def encode(self, prompt, label):
        if self.chat:
            prompt = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
            )
        whole = prompt + ("" if not prompt or prompt[-1].isspace() else " ") + label
        ids = self.tokenizer(whole, add_special_tokens=not self.chat)["input_ids"]
        tokens = self.tokenizer.convert_ids_to_tokens(ids)
        if tokens[0] == "<s>":  # Metaspace: a character is a character, and a space is put first
            assert whole.isascii()
            added = sum(map(len, tokens[1:])) - len(whole)
            ends = np.cumsum([0, *map(len, tokens[1:])]) - added
            return ids, int((ends <= len(prompt)).sum())
        ends = np.cumsum([len(token) for token in tokens])  # a character is a byte
        return ids, int((ends <= len(prompt.encode())).sum())

    def score(self, prompt, label):
        ids, n_context = self.encode(prompt, label)
        with torch.no_grad():
            logits = self.model(torch.tensor([ids])).logits[0].double()
        log_p = torch.log_softmax(logits, -1)
        return float(sum(log_p[at - 1, ids[at]] for at in range(n_context, len(ids))))


@pytest.fixture(scope="session")
def reference(tiny_llm):
    made = {}

    def of(family="llama", **options):
        key = (family, *options.items())
        if key not in made:
            made[key] = Reference(tiny_llm(family), **options)
        return made[key]

    return of


def ascii_only(bodies, labels):
    kept = [row for row, body in enumerate(bodies) if body.isascii()]
    return [bodies[row] for row in kept], [labels[row] for row in kept]


def assert_close(got, expected):
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)


# -- equal to scoring each full prompt alone ------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", " ", ":", ": ", "\n", SUFFIX])
@pytest.mark.parametrize("family", ["llama", "gpt2", "metaspace"])
def test_equals_full_prompts_whatever_stands_at_the_joins(tiny_llm, reference, family, suffix):
    prefixes = [PREFIX, PREFIX.rstrip(), "Text", "(" if family == "gpt2" else ""]
    for prefix in prefixes:
        bodies, labels = ascii_only(BODIES, LABELS) if family == "metaspace" else (BODIES, LABELS)
        got = TransformersLLM(tiny_llm(family)).log_likelihood(
            bodies, labels, prefix=prefix, suffix=suffix
        )
        assert_close(got, reference(family)(bodies, labels, prefix, suffix))


@pytest.mark.parametrize("batch_size", [1, 7, 64, 100_000])
@pytest.mark.parametrize("reuse_prefix", [True, False])
def test_batch_size_changes_nothing(tiny_llm, reference, batch_size, reuse_prefix):
    llm = TransformersLLM(tiny_llm(), batch_size=batch_size, reuse_prefix=reuse_prefix)
    got = llm.log_likelihood(BODIES, LABELS, prefix=PREFIX, suffix=SUFFIX)
    assert_close(got, reference()(BODIES, LABELS, PREFIX, SUFFIX))


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_trees_side_by_side_change_nothing(tiny_llm, reference, forwards, monkeypatch, family):
    monkeypatch.setattr(loaded_model, "_ROW_TOKENS", 30)
    llm = TransformersLLM(tiny_llm(family), batch_size=100)
    loaded(llm)
    for counts in forwards.values():
        counts.clear()
    for _ in range(2):  # the second call finds the prefix that the first one had copied
        got = llm.log_likelihood(BODIES, LABELS, prefix=PREFIX, suffix=SUFFIX)
        assert_close(got, reference(family)(BODIES, LABELS, PREFIX, SUFFIX))
    assert len(forwards["prefix"]) == 1
    assert max(n_rows for n_rows, _ in forwards["tree"]) > 1
    assert all(n_rows == 1 or n_rows * n_nodes <= 100 for n_rows, n_nodes in forwards["tree"])


def test_without_chat_template_equals_plain_prompts(tiny_llm, reference):
    llm = TransformersLLM(tiny_llm(), chat_template=False)
    got = llm.log_likelihood(BODIES, LABELS, prefix=PREFIX, suffix=SUFFIX)
    assert_close(got, reference(chat=False)(BODIES, LABELS, PREFIX, SUFFIX))
    assert np.abs(got - reference()(BODIES, LABELS, PREFIX, SUFFIX)).min() > 0.01


def test_whole_distributions_sum_to_one(tiny_llm):
    # An independent check of scale: the one-token continuations of a prompt are exclusive.
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_llm())
    singles = [t for t in tokenizer.get_vocab() if t.isascii() and t.isalnum()]
    log_p = TransformersLLM(tiny_llm()).log_likelihood(["a"] * len(singles), singles)
    assert 0.05 < np.exp(log_p).sum() < 1


def test_many_calls_in_changing_order(tiny_llm, reference):
    llm = TransformersLLM(tiny_llm("gpt2"), batch_size=32)
    rng = np.random.default_rng(0)
    # Prefixes that extend, cut and replace one another; "" and "B" share nothing with the rest.
    prefixes = [PREFIX, PREFIX[:20], PREFIX + "i lost", "B", PREFIX[:40] + " other", "Cl"]
    for _ in range(25):
        prefix = prefixes[rng.integers(len(prefixes))]
        rows = rng.integers(len(BODIES), size=rng.integers(1, 6))
        bodies, labels = [BODIES[r] for r in rows], [LABELS[r] for r in rows]
        got = llm.log_likelihood(bodies, labels, prefix=prefix, suffix=SUFFIX)
        assert_close(got, reference("gpt2")(bodies, labels, prefix, SUFFIX))
        held = loaded(llm)
        assert held.prefix_cache.get_seq_length() == len(held.prefix_ids)


def test_prompts_that_share_nothing_or_everything(tiny_llm, reference):
    llm, score = TransformersLLM(tiny_llm("gpt2")), reference("gpt2")
    for bodies, labels in [
        (["a", "b", "c"], ["card"] * 3),  # nothing shared
        (["where is"] * 5, ["card"] * 5),  # all equal
        (["where is"] * 3, ["card", "card arrival", "top up"]),  # one prompt, several labels
        (["where is my card"], ["card arrival"]),
        (["?"], ["!"]),  # a tree of one node
        (["a", "a b", "a b c d e f g"], ["card"] * 3),  # each the beginning of the next
    ]:
        assert_close(llm.log_likelihood(bodies, labels), score(bodies, labels))
    assert llm.log_likelihood([], []).shape == (0,)


def test_duplicates_get_equal_figures(tiny_llm):
    got = TransformersLLM(tiny_llm()).log_likelihood(
        ["x", "y", "x", "y", "x"], ["card"] * 5, prefix=PREFIX
    )
    assert got[0] == got[2] == got[4] != got[1] == got[3]


def test_arrays_of_texts_are_taken(tiny_llm):
    llm = TransformersLLM(tiny_llm())
    bodies, labels = np.array(BODIES[:2]), np.array(LABELS[:2], dtype=object)
    assert (llm.log_likelihood(bodies, labels) == llm.log_likelihood(BODIES[:2], LABELS[:2])).all()


# -- other architectures --------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["mistral", "gemma2"])
def test_attention_window_is_respected(tiny_llm, reference, family):
    llm, score = TransformersLLM(tiny_llm(family)), reference(family)
    short = (["where is my card", "is my"], ["card", "top up"])
    assert loaded(llm).scores_as_trees([EncodedPrompt((1,) * 16, 2)])
    assert_close(llm.log_likelihood(*short), score(*short))  # within the window: as a tree
    with pytest.warns(UserWarning, match=r"longer than the 16 .* exact but much slower"):
        got = llm.log_likelihood(BODIES, LABELS, prefix=PREFIX, suffix=SUFFIX)
    assert_close(got, score(BODIES, LABELS, PREFIX, SUFFIX))
    with warnings.catch_warnings():  # told once
        warnings.simplefilter("error")
        assert_close(llm.log_likelihood(*short), score(*short))
        llm.log_likelihood(BODIES, LABELS, prefix=PREFIX, suffix=SUFFIX)


def test_window_test_would_see_a_window_that_is_ignored(tiny_llm, reference):
    # The model must depend on its window, else the test above proves nothing.
    model = loaded(TransformersLLM(tiny_llm("mistral")))
    model.window = None
    llm = TransformersLLM(tiny_llm("mistral"))
    got = llm.log_likelihood(BODIES, LABELS, prefix=PREFIX, suffix=SUFFIX)
    assert np.abs(got - reference("mistral")(BODIES, LABELS, PREFIX, SUFFIX)).max() > 1e-2


def test_model_that_cannot_read_trees_falls_back_and_says_so(tiny_llm, reference):
    llm = TransformersLLM(tiny_llm("bloom"))
    with pytest.warns(UserWarning, match=r"BloomForCausalLM cannot score prompts as a tree"):
        got = llm.log_likelihood(BODIES, LABELS, prefix=PREFIX, suffix=SUFFIX)
    assert_close(got, reference("bloom")(BODIES, LABELS, PREFIX, SUFFIX))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        llm.log_likelihood(["a"], ["b"])


def test_probe_finds_a_model_that_reads_trees_wrongly(tiny_llm, reference, monkeypatch):
    forward = LoadedModel._forward

    def ignores_positions(self, *, keep, **inputs):
        return forward(self, keep=keep, **{**inputs, "position_ids": inputs["position_ids"] * 0})

    monkeypatch.setattr(LoadedModel, "_forward", ignores_positions)
    llm = TransformersLLM(tiny_llm("gpt2"))
    with pytest.warns(UserWarning, match="probe was off by"):
        got = llm.log_likelihood(BODIES, LABELS, prefix=PREFIX, suffix=SUFFIX)
    assert_close(got, reference("gpt2")(BODIES, LABELS, PREFIX, SUFFIX))


def draw_all(self, rows, n_shared):
    """Make a wrong mask: nodes see all before them, those of other branches, too."""
    mask = own_mask(self, rows, n_shared)
    places = torch.as_tensor(rows.places)
    later = torch.nn.functional.pad(places[:, None, :] > places[:, :, None], (n_shared, 0))
    return torch.zeros_like(mask).masked_fill_(later[:, None], torch.finfo(mask.dtype).min)


own_mask = LoadedModel._mask


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_probe_finds_a_wrong_mask(tiny_llm, monkeypatch, family, dtype):
    assert LoadedModel(tiny_llm(family), "cpu", dtype, {})._can_score_trees
    monkeypatch.setattr(LoadedModel, "_mask", draw_all)
    with pytest.warns(UserWarning, match="probe was off by"):
        assert not LoadedModel(tiny_llm(family), "cpu", dtype, {})._can_score_trees


def test_probe_is_text_where_the_tokenizer_can_write_it(tiny_llm, monkeypatch):
    model = loaded(TransformersLLM(tiny_llm()))
    one, two, three = (model.tokenizer.decode(prompt.ids) for prompt in model._probe_prompts())
    assert one == "one two three four five six seven eight nine"
    assert one.startswith(two)
    assert three == "one two three four six eight ten twelve"
    monkeypatch.setattr(model, "window", 16)  # of which the tiny tokenizer's tokens are too many
    assert [len(prompt.ids) for prompt in model._probe_prompts()] == [12, 10, 12]


def test_unknown_layer_types_fall_back(tiny_llm, monkeypatch):
    model = loaded(TransformersLLM(tiny_llm("gpt2")))
    monkeypatch.setattr(model.config, "layer_types", ["linear_attention"] * 2, raising=False)
    with pytest.warns(UserWarning, match="layers are of the types .'linear_attention'"):
        assert not model._probe_trees()


@pytest.mark.parametrize("family", TREE_FAMILIES)
def test_trees_are_used_where_they_can_be(tiny_llm, family):
    assert loaded(TransformersLLM(tiny_llm(family)))._can_score_trees


def test_bfloat16_is_close_and_reads_trees(tiny_llm, reference):
    llm = TransformersLLM(tiny_llm(), dtype="bfloat16")
    got = llm.log_likelihood(BODIES, LABELS, prefix=PREFIX, suffix=SUFFIX)
    exact = reference()(BODIES, LABELS, PREFIX, SUFFIX)
    assert loaded(llm)._can_score_trees
    assert 1e-4 < np.abs(got - exact).max() < 1


# -- cost -----------------------------------------------------------------------------------------


@pytest.fixture
def forwards(monkeypatch):
    """Rows, and tokens of a row, of each forward, of prefixes and of trees."""
    counts = {"prefix": [], "tree": []}
    forward = LoadedModel._forward

    def counted(self, **inputs):
        kind = "tree" if "attention_mask" in inputs else "prefix"
        counts[kind].append(tuple(inputs["input_ids"].shape))
        return forward(self, **inputs)

    monkeypatch.setattr(LoadedModel, "_forward", counted)
    return counts


def test_prefix_is_computed_once_over_many_calls(tiny_llm, forwards):
    llm = TransformersLLM(tiny_llm("gpt2"))
    loaded(llm)  # the probe's forwards do not count
    for counts in forwards.values():
        counts.clear()
    bodies = ["where is my card", "top up please", "cancel it", "why was it declined"]
    for body in bodies:
        words = body.split()
        variants = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
        llm.log_likelihood(variants, ["card"] * len(words), prefix=PREFIX, suffix=SUFFIX)
    n_prefix = len(reference_ids(llm, PREFIX))
    ((_, n_computed),) = forwards["prefix"]
    assert n_prefix - 2 <= n_computed <= n_prefix
    assert len(forwards["tree"]) == len(bodies)


def reference_ids(llm, text):
    return loaded(llm).tokenizer(text)["input_ids"]


def test_a_tree_computes_shared_tokens_once(tiny_llm, forwards):
    llm = TransformersLLM(tiny_llm("gpt2"), batch_size=10_000)
    loaded(llm)
    forwards["tree"].clear()
    prompts = ["a b c d e f g", "a b c d e f h", "z"]
    llm.log_likelihood(prompts, ["!"] * 3)
    ids = [reference_ids(llm, prompt + " !")[:-1] for prompt in prompts]
    distinct = {tuple(row[:end]) for row in ids for end in range(1, len(row) + 1)}
    assert forwards["tree"] == [(1, len(distinct))]


def test_batch_size_bounds_the_tokens_of_a_forward(tiny_llm, forwards):
    llm = TransformersLLM(tiny_llm(), batch_size=40)
    loaded(llm)
    forwards["tree"].clear()
    llm.log_likelihood(BODIES, LABELS, prefix=PREFIX, suffix=SUFFIX)
    assert len(forwards["tree"]) > 2
    assert max(n_rows * n_nodes for n_rows, n_nodes in forwards["tree"]) <= 40


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["log_likelihood", "check_context"])
@pytest.mark.parametrize("reuse_prefix", [True, False])
def test_long_prompt_is_refused_before_any_forward(tiny_llm, forwards, method, reuse_prefix):
    llm = TransformersLLM(tiny_llm("gpt2"), reuse_prefix=reuse_prefix)
    model = loaded(llm)
    forwards["prefix"].clear()
    model.model.register_forward_pre_hook(lambda *_: pytest.fail("a forward"))
    body = "card " * 300
    length = len(reference_ids(llm, PREFIX + body + "card"))
    assert length > 256
    with pytest.raises(PromptTooLongError, match=rf"has {length} tokens.* holds 256\."):
        getattr(llm, method)(["short", body], ["card", "card"], prefix=PREFIX)
    assert llm.check_context(["short"], ["card"], prefix=PREFIX) is None


def test_longest_prompt_that_fits_is_scored(tiny_llm, reference):
    llm = TransformersLLM(tiny_llm("gpt2"))
    body = "Q" * 255  # a token each, as no text of the corpus has one
    assert len(reference_ids(llm, body + " card")) == 256
    assert_close(llm.log_likelihood([body], ["card"]), reference("gpt2")([body], ["card"]))


@pytest.mark.parametrize("kind", ["prefix", "tree"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_error_in_the_middle_leaves_a_valid_cache(tiny_llm, reference, monkeypatch, kind, error):
    llm = TransformersLLM(tiny_llm(), batch_size=30)
    args, frame = (BODIES, LABELS), {"prefix": PREFIX, "suffix": SUFFIX}
    llm.log_likelihood(["other"], ["card"], prefix="Classify")
    layer = loaded(llm).model.model.layers[1]
    calls = []

    def fails(*_):
        calls.append(1)
        if len(calls) == (1 if kind == "prefix" else 3):
            raise error("in the middle")

    hook = layer.register_forward_pre_hook(fails)  # the first layer has grown its cache by then
    with pytest.raises(error, match="in the middle"):
        llm.log_likelihood(*args, **frame)
    hook.remove()
    assert_close(llm.log_likelihood(*args, **frame), reference()(*args, PREFIX, SUFFIX))


def test_bad_parameters_are_named(tiny_llm):
    bad = [
        *({"batch_size": size} for size in (0, -1, 2.5, "8")),
        {"dtype": "float8"},
        {"chat_template": "chatml"},
        {"device": "abacus"},
        {"device": "cuda:0"} if not torch.cuda.is_available() else {"device": 3},
        {"model_kwargs": ["revision"]},
        {"model_kwargs": {"token": "hf_secret"}},
        {"model_kwargs": {"use_safetensors": False}},
        {"model_kwargs": {"local_files_only": "hf_secret"}},
    ]
    for parameters in bad:
        llm = TransformersLLM(tiny_llm(), **parameters)
        for use in (llm.fingerprint, llm.settled, lambda llm=llm: llm.log_likelihood(["a"], ["b"])):
            with pytest.raises((TypeError, ValueError), match=next(iter(parameters))) as caught:
                use()
            assert "hf_secret" not in str(caught.value)
    with pytest.raises(ValueError, match="revision='main' was given"):
        TransformersLLM(tiny_llm(), model_kwargs={"revision": "main"}).log_likelihood(["a"], ["b"])
    assert TransformersLLM(tiny_llm(), batch_size=np.int64(4)).log_likelihood(["a"], ["b"]) < 0


def test_bad_texts_are_named(tiny_llm):
    llm = TransformersLLM(tiny_llm())
    with pytest.raises(ValueError, match="same length, got 2 bodies and 1 cont"):
        llm.log_likelihood(["a", "b"], ["c"])
    with pytest.raises(ValueError, match="same length, got 0 bodies and 1 cont"):
        llm.log_likelihood([], ["c"])
    with pytest.raises(TypeError, match="bodies is a single string"):
        llm.log_likelihood("a", ["c"])
    with pytest.raises(TypeError, match=r"continuations must hold strings only; row 0 is NoneType"):
        llm.log_likelihood(["a"], [None])
    with pytest.raises(ValueError, match="continuation is empty"):
        llm.log_likelihood(["a"], [""])
    for method in (llm.log_likelihood, llm.check_context):
        with pytest.raises(ValueError, match=r"bodies must hold valid Unicode, but row 1 holds"):
            method(["a", "b \ud83d"], ["c", "c"])
        with pytest.raises(ValueError, match=r"the rest of the prompts must hold valid Unicode"):
            method(["a"], ["c"], suffix="\ud83d")


# -- threads and the registry ---------------------------------------------------------------------


def test_threads_share_one_model(tiny_llm, reference):
    frames = [(PREFIX, SUFFIX), ("B", ":"), (PREFIX[:30], " ")]
    # Markers switch a setting of the tokenizer, which other threads must never see.
    marked = ["a<|im_end|>", *BODIES[:3]]
    alone = TransformersLLM(tiny_llm()).log_likelihood(marked, ["card"] * 4)
    release_models()
    start = threading.Barrier(4)

    def work(job):
        llm = TransformersLLM(tiny_llm())
        start.wait()
        results = []
        for turn in range(6):
            if job == 0:
                results.append(llm.log_likelihood(marked, ["card"] * 4) - alone)
            else:
                prefix, suffix = frames[(job + turn) % 3]
                got = llm.log_likelihood(BODIES, LABELS, prefix=prefix, suffix=suffix)
                results.append(got - expected[prefix])
        return max(np.abs(r).max() for r in results)

    expected = {prefix: reference()(BODIES, LABELS, prefix, suffix) for prefix, suffix in frames}
    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(work, range(4))) < 1e-4
    assert len(loading._registry._models) == 1


def test_tokenizer_settings_change_under_the_lock_only(tiny_llm, monkeypatch):
    llm = TransformersLLM(tiny_llm())
    held = []
    encode = PromptEncoder.encode

    def watched(self, *args, **kwargs):
        held.append(loaded(llm).lock.locked())
        return encode(self, *args, **kwargs)

    monkeypatch.setattr(PromptEncoder, "encode", watched)
    llm.log_likelihood(["a"], ["b"])
    llm.check_context(["a"], ["b"])
    assert held == [True, True]


def test_folder_written_anew_is_loaded_anew(tiny_llm, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_llm("gpt2"), folder)
    llm = TransformersLLM(str(folder))
    before, fingerprint = llm.log_likelihood(["a"], ["b"]), llm.fingerprint()
    shutil.rmtree(folder)
    shutil.copytree(tiny_llm("llama"), folder)
    assert llm.fingerprint() != fingerprint
    expected = TransformersLLM(tiny_llm("llama")).log_likelihood(["a"], ["b"])
    assert llm.log_likelihood(["a"], ["b"]) == expected != before


def test_clones_share_weights_and_release_drops_them(tiny_llm):
    llm = TransformersLLM(tiny_llm())
    assert loaded(llm) is loaded(clone(llm).set_params(batch_size=3, reuse_prefix=False))
    first = loaded(llm)
    release_models()
    assert loaded(llm) is not first


def test_at_most_two_models_are_held(tiny_llm):
    for family in ("llama", "gpt2", "llama", "metaspace"):
        loaded(TransformersLLM(tiny_llm(family)))
    assert [key[0] for key in loading._registry._models] == [
        tiny_llm("llama"),
        tiny_llm("metaspace"),
    ]


# -- an object of parameters only -----------------------------------------------------------------


def test_used_object_holds_no_weights(tiny_llm):
    llm = TransformersLLM(tiny_llm())
    before = joblib.hash(llm), pickle.dumps(llm), repr(llm)
    scores = llm.log_likelihood(BODIES, LABELS, prefix=PREFIX)
    assert (joblib.hash(llm), pickle.dumps(llm), repr(llm)) == before
    assert len(pickle.dumps(llm)) < 2000
    again = pickle.loads(pickle.dumps(llm))
    assert again.get_params() == clone(llm).get_params() == llm.get_params()
    assert (again.log_likelihood(BODIES, LABELS, prefix=PREFIX) == scores).all()


def test_fingerprint_tells_apart_what_changes_scores(tiny_llm):
    llm = TransformersLLM(tiny_llm())
    same = [
        clone(llm),
        clone(llm).set_params(batch_size=1),
        clone(llm).set_params(reuse_prefix=False),
        clone(llm).set_params(device="cpu"),
        clone(llm).set_params(device="cpu", dtype="float32"),
        clone(llm).set_params(model_kwargs={"trust_remote_code": False}),
    ]
    assert {other.fingerprint() for other in same} == {llm.fingerprint()}
    others = [
        TransformersLLM(tiny_llm("gpt2")),
        clone(llm).set_params(chat_template=False),
        clone(llm).set_params(dtype="bfloat16"),
        clone(llm).set_params(model_kwargs={"attn_implementation": "eager"}),
        clone(llm).set_params(model_kwargs={"trust_remote_code": True}),
    ]
    assert len({other.fingerprint() for other in [llm, *others]}) == 6
    assert not loading._registry._models  # needs no weights in memory


def test_loading_options_reach_the_model(tiny_llm):
    options = {"attn_implementation": "eager", "local_files_only": True}
    llm = TransformersLLM(tiny_llm(), model_kwargs=options)
    assert loaded(llm).config._attn_implementation == "eager"
    assert loaded(llm) is loaded(clone(llm))
    assert loaded(llm) is not loaded(TransformersLLM(tiny_llm()))
    plain = TransformersLLM(tiny_llm()).log_likelihood(BODIES, LABELS)
    assert_close(llm.log_likelihood(BODIES, LABELS), plain)
    assert llm.model_kwargs is options


# -- the number type ------------------------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch):
    """Pretend to be a CPU, with or without AMX, that is so many times faster in bfloat16."""

    def pretend(has_amx, speedup):
        dtypes._fastest_on_cpu.cache_clear()
        monkeypatch.setattr(dtypes, "_has_amx", lambda: has_amx)
        monkeypatch.setattr(dtypes, "_bfloat16_speedup", lambda: speedup)

    yield pretend
    monkeypatch.undo()
    dtypes._fastest_on_cpu.cache_clear()


@pytest.mark.parametrize(
    ("has_amx", "speedup", "expected"),
    [(True, 2.2, "bfloat16"), (True, 1.2, "float32"), (False, 2.2, "float32")],
)
def test_auto_is_bfloat16_only_where_amx_makes_it_faster(
    tiny_llm, machine, has_amx, speedup, expected
):
    machine(has_amx, speedup)
    llm = TransformersLLM(tiny_llm(), device="cpu", dtype="auto")
    assert str(loaded(llm).model.dtype) == f"torch.{expected}"
    assert f"|{expected}|" in llm.fingerprint()
    assert llm.fingerprint() == clone(llm).set_params(dtype=expected).fingerprint()
    settled = llm.settled()
    machine(not has_amx, 9.0)  # a worker on another machine
    assert (settled.dtype, llm.dtype) == (expected, "auto")
    assert f"|{expected}|" in settled.fingerprint()
    assert loaded(settled) is loaded(clone(settled))


def test_settled_returns_itself_where_nothing_is_to_be_decided(tiny_llm):
    llm = TransformersLLM(tiny_llm(), device="cpu", dtype="bfloat16")
    assert llm.settled() is llm


has_amx_here = dtypes._has_amx  # a fixture replaces it, for all tests


def test_the_probe_of_this_machine():
    assert has_amx_here() in (True, False)
    assert 0.001 < dtypes._bfloat16_speedup() < 1000
    assert dtypes.resolve_dtype("auto", "mps") == "checkpoint"
    assert dtypes.resolve_dtype("float16", "cpu") == "float16"


@pytest.mark.parametrize(("has_bfloat16", "expected"), [(True, "half"), (False, "checkpoint")])
def test_on_a_gpu_auto_has_sixteen_bits_where_it_can(monkeypatch, has_bfloat16, expected):
    monkeypatch.setattr(dtypes, "_gpu_has_bfloat16", lambda: has_bfloat16)
    assert dtypes.resolve_dtype("auto", "cuda:0") == expected
    assert dtypes.resolve_dtype("float32", "cuda:0") == "float32"


@pytest.mark.parametrize(
    ("saved", "used"),
    [("float32", "bfloat16"), ("bfloat16", "bfloat16"), ("float16", "float16")],
)
def test_half_keeps_a_type_that_has_sixteen_bits(tiny_llm, tmp_path, saved, used):
    shutil.copytree(tiny_llm(), tmp_path, dirs_exist_ok=True)
    weights = LoadedModel(tiny_llm(), "cpu", saved, {}).model
    weights.save_pretrained(tmp_path)
    assert LoadedModel(str(tmp_path), "cpu", "half", {}).model.dtype == getattr(torch, used)
    assert LoadedModel(str(tmp_path), "cpu", "checkpoint", {}).model.dtype == getattr(torch, saved)


def test_resolve_llm(tiny_llm):
    llm = TransformersLLM(tiny_llm())
    assert resolve_llm(llm) is llm
    assert resolve_llm("gpt2").model == "gpt2"
    with pytest.raises(TypeError, match=r"llm must be the name of a model or a BaseLLM, got int"):
        resolve_llm(3)
    assert resolve_llm(Path("folder/gpt2")).model == Path("folder/gpt2")
    with pytest.raises(TypeError, match=r"got the class TransformersLLM\. Pass an instance"):
        resolve_llm(TransformersLLM)


# -- the real thing -------------------------------------------------------------------------------


SMOLLM2_LABELS = [
    *("card arrival", "card delivery estimate", "lost or stolen card", "card not working"),
    *("declined card payment", "top up failed", "top up limits", "pending top up"),
    *("cancel transfer", "transfer timing", "failed transfer", "balance not updated"),
    *("exchange rate", "change pin", "pin blocked", "verify my identity"),
    *("edit personal details", "refund not showing up", "cash withdrawal charge", "atm support"),
]
SMOLLM2_TEXTS = [
    ("I am still waiting on my card?", "card arrival"),
    ("Why was I charged for using the ATM", "cash withdrawal charge"),
    ("my top-up didn't go through!", "top up failed"),
    ("How do I change my PIN", "change pin"),
]


@pytest.mark.slow
@pytest.mark.parametrize("chat", [False, True])
def test_smollm2_equals_full_prompts(chat):
    from skcap.models import resolve_model

    prefix = f"Classify the text.\n\nLabels: {', '.join(SMOLLM2_LABELS)}\n\nText: "
    score = Reference(resolve_model("smollm2-135m"), chat=chat)
    # "auto" leaves the template of this model out, on purpose.
    llm = TransformersLLM("smollm2-135m", chat_template=True if chat else "auto")
    for text, label in SMOLLM2_TEXTS:
        words = text.split()
        variants = [" ".join(words[:i] + words[i + 1 :]) for i in range(0, len(words), 2)]
        bodies, names = [text, *variants], [label] * (1 + len(variants))
        names[-1] = "card delivery estimate"
        got = llm.log_likelihood(bodies, names, prefix=prefix, suffix="\nLabel:")
        assert_close(got, score(bodies, names, prefix, "\nLabel:"))


@pytest.mark.slow
def test_smollm2_reads_trees_in_bfloat16(monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert LoadedModel("smollm2-135m", "cpu", "bfloat16", {})._can_score_trees
    monkeypatch.setattr(LoadedModel, "_mask", draw_all)
    with pytest.warns(UserWarning, match="probe was off by"):
        LoadedModel("smollm2-135m", "cpu", "bfloat16", {})


@pytest.mark.parametrize(
    ("file", "content"), [("tokenizer.json", "{bad"), ("config.json", '{"model_type": "t5"}')]
)
def test_a_damaged_folder_is_told_with_the_models_name(tiny_llm, tmp_path, file, content):
    folder = shutil.copytree(tiny_llm("llama"), tmp_path / "damaged")
    (folder / file).write_text(content)
    with pytest.raises(ModelLoadError, match="damaged' could not be loaded"):
        TransformersLLM(str(folder), device="cpu").log_likelihood(["a"], ["b"])


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", None])
def test_damaged_weights_are_told_with_the_models_name(tiny_llm, tmp_path, content):
    folder = shutil.copytree(tiny_llm("llama"), tmp_path / "damaged")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(ModelLoadError, match="damaged' could not be loaded"):
        TransformersLLM(str(folder), device="cpu").log_likelihood(["a"], ["b"])
