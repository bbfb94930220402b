"""Tiny models: the real Llama, Mistral and Phi-3 architectures with 1.0 to 1.5 million parameters.

They exist so that everything runs anywhere in minutes: they are for testing the platform, not for science. The
configurations keep what makes the real ones differ: grouped-query attention (all), a sliding window shorter
than a sample (Mistral), fused projections (Phi-3).
"""

from collections.abc import Callable, Mapping

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from bioalign_assets.study.models import TinyArchitecture

__all__ = ["TINY_LONGEST_TEXT", "build_tiny_model"]

TINY_LONGEST_TEXT = 512
"""Longest text that a tiny model takes, in tokens."""

_SHAPE = {
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": TINY_LONGEST_TEXT,
    "tie_word_embeddings": False,
}


def build_tiny_model(
    architecture: TinyArchitecture, *, tokenizer: PreTrainedTokenizerFast, seed: int
) -> PreTrainedModel:
    """Return a tiny model of an architecture with random float32 weights, the same for the same seed.

    The global random state of torch is left as it was.
    """
    shape = _SHAPE | {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _BUILDERS[architecture](shape).float()
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def _llama(shape: dict[str, object]) -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**shape, rope_theta=500_000.0))


def _mistral(shape: dict[str, object]) -> PreTrainedModel:
    # half a training sample (62 to 78 tokens), so that windowed attention is really exercised
    return MistralForCausalLM(MistralConfig(**shape, sliding_window=32))


def _phi3(shape: dict[str, object]) -> PreTrainedModel:
    return Phi3ForCausalLM(Phi3Config(**shape, sliding_window=None))


_BUILDERS: Mapping[TinyArchitecture, Callable[[dict[str, object]], PreTrainedModel]] = {
    "llama": _llama,
    "mistral": _mistral,
    "phi3": _phi3,
}
