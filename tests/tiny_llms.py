"""Tiny random language models with tokenizers of the kinds that real ones use."""

import pytest

CORPUS = [
    "where is my card, it has not arrived yet",
    "i want to top up my account with another card",
    "why was my transfer declined? please cancel the transfer",
    "Classify the text. Answer with one of the labels and nothing else.",
    "Labels: card arrival, card arrival delay, top up, cancel transfer, wake me up",
    "Text: i lost my card Label: lost card",
    "user\nassistant\nhello, how are you?\n\n1 2 3 4 5 6 7 8 9 0",
]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
FAMILIES = ("llama", "gpt2", "metaspace", "mistral", "gemma2", "bloom")


def byte_level_tokenizer(**settings):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=names,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=names[0], eos_token=names[2], **settings
    )


def metaspace_tokenizer():
    """Make a tokenizer as SentencePiece does: spaces are letters, and a BOS goes first."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first", split=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=[chr(i) for i in range(33, 127)] + ["\n", "\u2581"],
        show_progress=False,
        max_token_length=8,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def random_model(family, vocabulary):
    import transformers

    sizes = {**SIZES, "vocab_size": vocabulary, "max_position_embeddings": 256}
    sizes |= {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": None}
    if family == "gpt2":
        return transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                vocab_size=vocabulary,
                n_embd=32,
                n_layer=2,
                n_head=4,
                n_positions=256,
                bos_token_id=0,
                eos_token_id=2,
            )
        )
    if family == "mistral":  # no layer has all of the context
        config = transformers.MistralConfig(**sizes, sliding_window=16)
        return transformers.MistralForCausalLM(config)
    if family == "gemma2":  # every second layer has
        config = transformers.Gemma2Config(**sizes, head_dim=8, sliding_window=16)
        return transformers.Gemma2ForCausalLM(config)
    if family == "bloom":  # its positions come from the mask, so it cannot read a tree
        config = transformers.BloomConfig(
            vocab_size=vocabulary, hidden_size=32, n_layer=2, n_head=4, bos_token_id=0
        )
        return transformers.BloomForCausalLM(config)
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes))


def save_tiny_llm(family, folder):
    """Save a tiny random language model of a family with its tokenizer."""
    import torch

    if family == "metaspace":
        tokenizer = metaspace_tokenizer()
    else:
        chat = {"chat_template": CHAT_TEMPLATE} if family == "llama" else {}
        tokenizer = byte_level_tokenizer(**chat)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = random_model(family, len(tokenizer))
    # Real models are trained: their attention is far from uniform, their answers are not all alike.
    for name, weight in model.named_parameters():
        if weight.dim() == 2 and "norm" not in name:
            weight.data.mul_(6)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def _float32_on_every_cpu(monkeypatch):
    """Compute in the type that expected values were made in, on CPUs with AMX, too."""
    monkeypatch.setattr("skcap.llm.dtypes._has_amx", lambda: False)


@pytest.fixture(scope="session")
def tiny_llm(tmp_path_factory):
    """Give the folder of a tiny random language model; families are in FAMILIES."""
    folders = {}

    def folder_of(family="llama"):
        if family not in folders:
            folders[family] = save_tiny_llm(family, tmp_path_factory.mktemp(family))
        return folders[family]

    return folder_of
