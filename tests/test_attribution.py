import numpy as np
import pytest
import torch
from tiny_models import FAMILIES

from skcap.attribution import attribute_words, integrated_gradients, words_from_tokens
from skcap.classifier.batches import PadCollate, TextDataset
from skcap.classifier.encoder import TextEncoderClassifier
from skcap.classifier.texts import encode_texts, load_tokenizer
from skcap.utils.norms import normalize_scores

TEXTS = ["where is my card?", "  play   jazz music, please! 😀 unaffable", "", "alarm at noon"]


class Case:
    """A tiny classifier in evaluation mode and a batch of texts for it."""

    def __init__(self, folder, pooling="mean", dtype=torch.float64):
        self.tokenizer = load_tokenizer(folder)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.model = TextEncoderClassifier(folder, 3, pooling).to(dtype).eval()
        self.encoded = encode_texts(self.tokenizer, TEXTS, 40)
        self.batch = self.collate(range(len(TEXTS)))
        self.classes = torch.tensor([0, 1, 2, 0])

    def collate(self, rows):
        dataset = TextDataset(self.encoded)
        return PadCollate(self.tokenizer.pad_token_id)([dataset[row] for row in rows])[0]

    def words(self, **options):
        options = {"n_words": 6, "n_steps": 4, "baseline_token": self.tokenizer.pad_token_id} | (
            options
        )
        return attribute_words(self.model, self.batch, self.classes, **options)


@pytest.fixture(scope="module")
def case(tiny_model):
    cases = {}

    def make(family, dtype=torch.float64):
        if (family, dtype) not in cases:
            cases[family, dtype] = Case(tiny_model(family), dtype=dtype)
        return cases[family, dtype]

    return make


def quadratic(points):
    return (points**2 * torch.tensor([1.0, 3.0])).sum(dim=(1, 2))


def test_two_nodes_integrate_a_cubic_exactly():
    x = torch.tensor([[[1.0, 2.0]], [[-1.0, 0.5]]])
    got = integrated_gradients(
        lambda p: (p**3).sum(dim=(1, 2)), x, torch.zeros_like(x), n_steps=2, path="gausslegendre"
    )
    torch.testing.assert_close(got, (x**3).sum(dim=2))


def test_random_path_draws_one_point_in_each_part_for_each_text():
    seen = []

    def forward(points):
        seen.append(points[:, 0, 0].reshape(5, 3).detach().clone())
        return points.sum(dim=(1, 2))

    x = torch.ones(3, 1, 1)
    integrated_gradients(forward, x, torch.zeros_like(x), n_steps=5, path="random")
    assert torch.equal((seen[0] * 5).floor(), torch.arange(5.0)[:, None].expand(5, 3))
    assert seen[0].unique().numel() == 15


def test_random_path_is_unbiased_and_repeats_with_its_generator():
    x, zero = torch.tensor([[[1.0, 2.0]]]).expand(4000, 1, 2), torch.zeros(4000, 1, 2)

    def draw():
        generator = torch.Generator().manual_seed(0)
        return integrated_gradients(
            quadratic, x, zero, n_steps=1, path="random", generator=generator
        )

    torch.testing.assert_close(draw().mean(), torch.tensor(13.0), atol=0.5, rtol=0)
    assert torch.equal(draw(), draw())


@pytest.mark.parametrize("limit", [1, 4, 5, 100])
def test_limit_on_rows_changes_nothing_but_the_calls(limit):
    sizes = []

    def forward(points):
        sizes.append(len(points))
        return quadratic(points)

    x = torch.arange(12.0).reshape(2, 3, 2)
    whole = integrated_gradients(quadratic, x, -x, n_steps=5)
    parts = integrated_gradients(forward, x, -x, n_steps=5, internal_batch_size=limit)
    torch.testing.assert_close(parts, whole)
    assert sum(sizes) == 10
    assert max(sizes) <= max(limit, 2)


def test_no_graph_unless_asked_for():
    x = torch.ones(1, 1, 2, requires_grad=True)
    for create_graph in (False, True):
        got = integrated_gradients(
            quadratic, x, torch.zeros_like(x), n_steps=1, create_graph=create_graph
        )
        assert got.requires_grad == create_graph


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_steps": 0}, "n_steps must be at least 1, got 0"),
        ({"n_steps": 1, "path": "curved"}, "'gausslegendre', 'random', got 'curved'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        integrated_gradients(quadratic, torch.ones(1, 1, 2), torch.zeros(1, 1, 2), **options)


def test_bad_output(case):
    with pytest.raises(ValueError, match="'logit', 'log_odds', 'probability', got 'margin'"):
        case("bert").words(output="margin")


def test_words_are_sums_of_their_tokens():
    scores = torch.tensor([[9.0, 1.0, 2.0, 4.0], [5.0, 6.0, 7.0, 8.0]], requires_grad=True)
    ids = torch.tensor([[-1, 0, 0, 2], [1, -1, 1, -1]])
    words = words_from_tokens(scores, ids, 3)
    assert torch.equal(words, torch.tensor([[3.0, 0.0, 4.0], [0.0, 12.0, 0.0]]))
    (words * torch.tensor([[1.0, 2.0, 3.0]])).sum().backward()
    assert torch.equal(scores.grad, torch.tensor([[0.0, 1.0, 1.0, 3.0], [2.0, 0.0, 2.0, 0.0]]))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_equal_those_of_the_encoder_given_ids(tiny_model, family, pooling):
    case = Case(tiny_model(family), pooling)
    ids, attention = case.batch["input_ids"], case.batch["attention_mask"]
    with torch.no_grad():
        hidden = case.model.encoder(input_ids=ids, attention_mask=attention).last_hidden_state
        if pooling == "mean":
            rows = [row[: int(n)].mean(0) for row, n in zip(hidden, attention.sum(1), strict=True)]
            expected = case.model.head(torch.stack(rows))
        else:
            expected = case.model.head(hidden[:, 0])
        torch.testing.assert_close(case.model(ids, attention), expected)
        embedded = case.model(attention_mask=attention, inputs_embeds=case.model.embed(ids))
        torch.testing.assert_close(embedded, expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_has_no_say(case, family):
    case = case(family)
    together = case.model(case.batch["input_ids"], case.batch["attention_mask"])
    for row in range(len(TEXTS)):
        alone = case.collate([row])
        torch.testing.assert_close(case.model(alone["input_ids"])[0], together[row])


def captum_words(case, n_steps, output):
    """Reference: captum's token attributions, summed into words in plain Python."""
    from captum.attr import LayerIntegratedGradients

    def score(ids, attention):
        hidden = case.model.encoder(input_ids=ids, attention_mask=attention).last_hidden_state
        share = attention.unsqueeze(2)
        logits = case.model.head((hidden * share).sum(1) / share.sum(1))
        if output == "log_odds":
            return logits.softmax(dim=1).logit()
        return logits.softmax(dim=1) if output == "probability" else logits

    layer = case.model.encoder.get_input_embeddings()
    ids, pad = case.batch["input_ids"], case.tokenizer.pad_token_id
    tokens = (
        LayerIntegratedGradients(score, layer)
        .attribute(
            ids,
            baselines=torch.where(case.batch["special"], ids, pad),
            target=case.classes,
            additional_forward_args=(case.batch["attention_mask"],),
            n_steps=n_steps,
        )
        .sum(dim=2)
    )
    words = np.zeros((len(TEXTS), 6))
    for row, (scores, positions) in enumerate(
        zip(tokens.tolist(), case.batch["word_ids"].tolist(), strict=True)
    ):
        for value, position in zip(scores, positions, strict=True):
            if position >= 0:
                words[row, position] += value
    return words


@pytest.mark.parametrize("output", ["logit", "log_odds", "probability"])
@pytest.mark.parametrize("n_steps", [1, 8])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_equal_to_captum(case, family, n_steps, output):
    case = case(family, torch.float32)
    words = case.words(n_steps=n_steps, output=output).numpy()
    expected = captum_words(case, n_steps, output)
    np.testing.assert_allclose(words, expected, atol=1e-5, rtol=0)
    assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_attributions_are_complete(case, family):
    case = case(family)
    ids, attention = case.batch["input_ids"], case.batch["attention_mask"]
    # The blank tokens between DeBERTa's words belong to no word: count all that are not special.
    case_batch = {**case.batch, "word_ids": torch.where(case.batch["special"], -1, 0)}
    total = attribute_words(
        case.model,
        case_batch,
        case.classes,
        n_words=1,
        n_steps=200,
        baseline_token=case.tokenizer.mask_token_id,
    )[:, 0]
    masked = torch.where(case.batch["special"], ids, case.tokenizer.mask_token_id)
    with torch.no_grad():
        change = case.model(ids, attention) - case.model(masked, attention)
    torch.testing.assert_close(
        total, change.gather(1, case.classes[:, None])[:, 0], atol=1e-4, rtol=1e-3
    )
    assert total[2] == 0  # the empty text has special tokens only


def test_special_and_padding_tokens_get_nothing(case):
    case = case("bert")
    inside = {**case.batch, "word_ids": torch.where(case.batch["special"], 0, -1)}
    got = attribute_words(
        case.model, inside, case.classes, n_words=1, n_steps=3, baseline_token=None
    )
    assert torch.equal(got, torch.zeros_like(got))


def test_baselines_differ(case):
    case = case("bert")
    pad, mask = case.tokenizer.pad_token_id, case.tokenizer.mask_token_id
    pairs = [case.words(baseline_token=token) for token in (pad, mask, None)]
    assert not torch.allclose(pairs[0], pairs[1], atol=1e-3)
    assert not torch.allclose(pairs[0], pairs[2], atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_of_the_alignment_equals_finite_differences(case, family):
    """Second derivatives through the default attention, in float64.

    ModernBERT turns its rotary positions in float32 whatever its weights are: its differences need
    a longer step, or rounding shows.
    """
    case = case(family)
    prior = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1], [0] * 6, [1, 1, 1, 0, 0, 0]])

    def loss():
        words = case.words(n_steps=2, output="probability", create_graph=True)
        sides = (normalize_scores(side, mask.bool(), "l2") for side in (prior, words))
        wanted, found = sides
        return (wanted - found)[mask.bool()].square().mean()

    matrices = [(n, p) for n, p in case.model.named_parameters() if p.dim() == 2]
    chosen = [matrices[0], matrices[len(matrices) // 2], matrices[-1]]
    gradients = torch.autograd.grad(loss(), [weight for _, weight in chosen])
    generator = torch.Generator().manual_seed(1)
    for (name, weight), gradient in zip(chosen, gradients, strict=True):
        direction = torch.randn(weight.shape, dtype=weight.dtype, generator=generator)
        if weight is case.model.encoder.get_input_embeddings().weight:
            direction[case.tokenizer.pad_token_id] = 0  # torch gives the padding no gradient
        start, step = weight.data.clone(), 1e-4 if family == "modernbert" else 1e-6
        ends = []
        for sign in (1, -1):
            weight.data = start + sign * step * direction
            ends.append(loss().item())
        weight.data = start
        slope = (ends[0] - ends[1]) / (2 * step)
        assert (gradient * direction).sum().item() == pytest.approx(slope, rel=1e-5, abs=1e-8), name
        assert abs(slope) > 1e-7, name


def test_every_weight_that_matters_gets_a_gradient(case):
    case = case("bert")
    case.words(create_graph=True).square().sum().backward()
    without = {n for n, p in case.model.named_parameters() if p.grad is None or not p.grad.any()}
    case.model.zero_grad(set_to_none=True)
    # A constant added to all logits, or to all keys, moves no attribution.
    assert all(name.endswith("bias") for name in without), without


def test_words_without_tokens_and_truncated_words(tiny_model):
    tokenizer = load_tokenizer(tiny_model("bert"))
    (text,) = encode_texts(tokenizer, ["play \u200b jazz " + "rain " * 20 + "unaffable"], 8)
    assert text.input_ids.size == 8
    assert text.special.tolist() == [True] + [False] * 6 + [True]
    assert text.word_ids.tolist() == [-1, 0, 2, 3, 4, 5, 6, -1]
    assert text.seen.tolist() == [True, False] + [True] * 5 + [False] * 17
    assert text.truncated.tolist() == [False] * 7 + [True] * 17


def test_a_word_cut_in_the_middle_is_truncated(tiny_model):
    tokenizer = load_tokenizer(tiny_model("bert"))
    (text,) = encode_texts(tokenizer, ["play unaffable"], 6)
    assert text.word_ids.tolist() == [-1, 0, 1, 1, 1, -1]
    assert text.truncated.tolist() == [False, True]
    assert text.seen.tolist() == [True, False]


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_special_tokens_written_in_a_text_are_words(tiny_model, family):
    case = Case(tiny_model(family))
    text = f"play {case.tokenizer.pad_token} jazz {case.tokenizer.sep_token}"
    (encoded,) = encode_texts(case.tokenizer, [text, "x"], 40)[:1]
    assert sorted(set(encoded.word_ids.tolist())) == [-1, 0, 1, 2, 3]
    assert encoded.seen.all()
    assert encoded.special.sum() == 2


def test_empty_texts_of_a_tokenizer_without_special_tokens():
    from tiny_models import wordpiece
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    full, names = wordpiece()
    bare = Tokenizer(full.model)
    bare.pre_tokenizer = full.pre_tokenizer
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare, pad_token=names["pad"])
    empty, rain = encode_texts(tokenizer, [" ", "rain"], 8)
    assert (empty.input_ids.tolist(), empty.special.tolist()) == ([0], [True])
    assert (empty.word_ids.tolist(), empty.seen.tolist()) == ([-1], [])
    assert (rain.special.tolist(), rain.seen.tolist()) == ([False], [True])


def test_slow_tokenizer_is_refused(tmp_path, monkeypatch):
    import transformers

    class Slow:
        is_fast = False

    monkeypatch.setattr(
        transformers.AutoTokenizer, "from_pretrained", lambda model, **options: Slow()
    )
    with pytest.raises(ValueError, match=r"\(Slow\) is a slow one"):
        load_tokenizer("some/model")


@pytest.mark.parametrize("family", FAMILIES)
def test_positions_that_a_model_has(case, family):
    assert case(family).model.max_tokens == 64


def test_longest_text_that_fits(tiny_model):
    for family in ("bert", "roberta", "distilbert"):
        case = Case(tiny_model(family))
        ids = torch.full((1, 64), 7)
        assert case.model(ids).isfinite().all()
        with pytest.raises((IndexError, RuntimeError, ValueError)):
            case.model(torch.full((1, 65), 7))


def test_weights_missing_from_the_checkpoint_are_told(tiny_model, tmp_path):
    from safetensors.torch import load_file, save_file
    from transformers import AutoConfig

    folder = tiny_model("bert")
    AutoConfig.from_pretrained(folder).save_pretrained(tmp_path)
    weights = load_file(f"{folder}/model.safetensors")
    weights.pop("encoder.layer.1.output.dense.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.warns(UserWarning, match=r"1 weights of BertModel are not in .*layer.1.output"):
        TextEncoderClassifier(str(tmp_path), 2)


def test_half_precision_checkpoints_are_trained_in_float32(tiny_model, tmp_path):
    from transformers import AutoModel

    AutoModel.from_pretrained(tiny_model("bert")).to(torch.bfloat16).save_pretrained(tmp_path)
    model = TextEncoderClassifier(str(tmp_path), 2)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_loading_leaves_logging_as_it_was(tiny_model, capfd):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    TextEncoderClassifier(tiny_model("bert"), 2)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert capfd.readouterr().err == ""


def test_bad_pooling(tiny_model):
    with pytest.raises(ValueError, match="pooling must be one of 'mean', 'cls', got 'max'"):
        TextEncoderClassifier(tiny_model("bert"), 2, "max")
