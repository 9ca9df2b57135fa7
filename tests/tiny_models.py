"""Tiny random encoders with their tokenizers, saved in a folder: `tiny_model("bert")` is a path."""

import pytest

CORPUS = [
    "alarm set timer cancel reminder play jazz music please turn on the lights off now",
    "where is my card? it has not arrived yet, i am still waiting for it to come",
    "what is the weather like tomorrow morning in paris, and will it rain at noon",
]
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}
FAMILIES = ("bert", "roberta", "distilbert", "deberta-v2", "modernbert")


def wordpiece():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = sorted({word.strip("?,") for line in CORPUS for word in line.split()} - set(letters))
    pieces = [*names, *letters, *("##" + letter for letter in letters), *words]
    vocabulary = {piece: position for position, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer, dict(zip(("pad", "unk", "cls", "sep", "mask"), names, strict=True))


def trained(model, trainer_class, pre_tokenizer, processor, **options):
    from tokenizers import Tokenizer

    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainer_class(vocab_size=400, special_tokens=names, show_progress=False, **options)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processor
    return tokenizer, dict(zip(("cls", "pad", "sep", "unk", "mask"), names, strict=True))


def byte_level():
    from tokenizers import models, pre_tokenizers, processors, trainers

    return trained(
        models.BPE(),
        trainers.BpeTrainer,
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )


def unigram():
    from tokenizers import models, pre_tokenizers, processors, trainers

    return trained(
        models.Unigram(),
        trainers.UnigramTrainer,
        pre_tokenizers.Metaspace(),
        processors.BertProcessing(("</s>", 2), ("<s>", 0)),
        unk_token="<unk>",
    )


def encoder(family, vocabulary, pad):
    import transformers

    if family == "bert":
        config = transformers.BertConfig(vocab_size=vocabulary, pad_token_id=pad, **SIZES)
        return transformers.BertModel(config)
    if family == "roberta":
        sizes = {**SIZES, "max_position_embeddings": 66}
        config = transformers.RobertaConfig(vocab_size=vocabulary, pad_token_id=pad, **sizes)
        return transformers.RobertaModel(config)
    if family == "distilbert":
        return transformers.DistilBertModel(
            transformers.DistilBertConfig(
                vocab_size=vocabulary,
                pad_token_id=pad,
                dim=16,
                n_layers=2,
                n_heads=2,
                hidden_dim=32,
                max_position_embeddings=64,
            )
        )
    if family == "deberta-v2":
        config = transformers.DebertaV2Config(
            vocab_size=vocabulary,
            pad_token_id=pad,
            **SIZES,
            relative_attention=True,  # as DeBERTa v3
            position_buckets=8,
            pos_att_type=["p2c", "c2p"],
            share_att_key=True,
            norm_rel_ebd="layer_norm",
            position_biased_input=False,
            type_vocab_size=0,
        )
        return transformers.DebertaV2Model(config)
    config = transformers.ModernBertConfig(
        vocab_size=vocabulary,
        **SIZES,
        local_attention=8,
        pad_token_id=pad,
        bos_token_id=0,
        cls_token_id=0,
        eos_token_id=2,
        sep_token_id=2,
    )
    return transformers.ModernBertModel(config)


def save_tiny_model(family, folder):
    """Save a tiny random encoder of a family with a tokenizer of the kind the family uses."""
    import torch
    from transformers import PreTrainedTokenizerFast

    make = {"roberta": byte_level, "modernbert": byte_level, "deberta-v2": unigram}
    tokenizer, names = make.get(family, wordpiece)()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **{f"{role}_token": name for role, name in names.items()}
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = encoder(family, len(fast), fast.pad_token_id)
    # Real encoders are trained, and then their attention is far from uniform.
    for name, weight in model.named_parameters():
        if weight.dim() == 2 and "norm" not in name.lower():
            weight.data.mul_(8)
    # A padding embedding of zero would make a path on which layer norm hides the way from it.
    table = model.get_input_embeddings().weight.data
    table[fast.pad_token_id] = table[fast.mask_token_id].flip(0)
    fast.save_pretrained(folder)
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """Give the folder of a tiny random encoder; families are in FAMILIES."""
    folders = {}

    def folder_of(family="bert"):
        if family not in folders:
            folders[family] = save_tiny_model(family, tmp_path_factory.mktemp(family))
        return folders[family]

    return folder_of
