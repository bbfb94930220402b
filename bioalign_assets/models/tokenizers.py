"""Tokenizers of the tiny models: the two families that the real models use, trained on the release's names.

Llama-3 has a byte-level BPE; Mistral and Phi-3 have a SentencePiece BPE with byte fallback, in which a word has
one token at the start of a text and another after a newline. Both kinds stand here so that code that is right
on the tiny models is right on the real ones. Training them is deterministic.
"""

import json
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from bioalign_assets.study.models import TinyArchitecture

__all__ = ["VOCABULARY", "train_tokenizer"]

VOCABULARY = 2048
"""Tokens of a tiny model: 256 bytes, the special tokens, and merges for the frequent pieces of names."""


def train_tokenizer(texts: Iterable[str], *, architecture: TinyArchitecture) -> PreTrainedTokenizerFast:
    """Return a tokenizer of the architecture's kind, trained on texts.

    It puts the beginning-of-text token before every text, pads on the right, and has no end-of-text token
    by itself, as the real ones.
    """
    if architecture == "llama":
        return _byte_level(texts)
    return _sentencepiece(texts)


def _finish(tokenizer: Tokenizer, *, start: str, end: str, unknown: str | None) -> PreTrainedTokenizerFast:
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A",
        pair=f"{start} $A {start}:1 $B:1",
        special_tokens=[(start, tokenizer.token_to_id(start))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=start,
        eos_token=end,
        pad_token="<pad>",  # noqa: S106 - a token of the vocabulary
        unk_token=unknown,
        padding_side="right",
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )


def _byte_level(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    start, end = "<|begin_of_text|>", "<|end_of_text|>"
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[start, end, "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _finish(tokenizer, start=start, end=end, unknown=None)


def _sentencepiece(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))  # noqa: S106
    # SentencePiece's form: a dummy space before the text, ▁ for every space, merges within words only. A newline
    # stands alone, so that a word right after it has no ▁ and is another token than the same word after a space.
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("\n", "isolated"),
            pre_tokenizers.Split("▁", "merged_with_next"),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1, right=0),
        ]
    )
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<unk>", "<s>", "</s>", "<pad>", *byte_tokens],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _finish(_without_special_bytes(tokenizer), start="<s>", end="</s>", unknown="<unk>")


def _without_special_bytes(tokenizer: Tokenizer) -> Tokenizer:
    """Keep the bytes in the vocabulary, but not as special tokens: a decoder must turn them into text."""
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [t for t in content["added_tokens"] if not t["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(content))
