"""A model of any architecture and size with random weights in NF4, in a folder, in the form of published 4-bit models.

Weights are drawn on the card where there is one, a layer at a time: the whole model is never in memory unquantised.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from bitsandbytes.functional import quantize_4bit
from safetensors.torch import save_file
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.models.loading import default_device
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.models.tokenizers import train_tokenizer

__all__ = ["save_random_model"]

DEVIATION = 0.02
"""Of random weights: what transformers initialises these architectures with."""


def save_random_model(
    config: PreTrainedConfig, *, name: str, folder: Path, texts: Sequence[str], tokenizer: Path | None
) -> ResolvedModel:
    """Save a model with random weights as ``<folder>/<name>/``, and return what ``models.base`` would say of it.

    :param texts: statements that a tokenizer is trained on where there is no real one
    :param tokenizer: folder of the real tokenizer
    """
    target = folder / name
    target.mkdir()
    tokens = _tokenizer(tokenizer, texts=texts)
    tokens.save_pretrained(target)
    config.bos_token_id, config.eos_token_id = tokens.bos_token_id, tokens.eos_token_id
    config.pad_token_id = tokens.pad_token_id
    config.dtype = torch.bfloat16
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    weights = _random_weights(model)
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    config.architectures = [type(model).__name__]
    quantisation = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )  # fmt: skip
    config.save_pretrained(target)
    saved = json.loads((target / "config.json").read_text(encoding="utf-8"))
    saved["quantization_config"] = quantisation.to_dict()
    (target / "config.json").write_text(json.dumps(saved), encoding="utf-8")
    return ResolvedModel(
        model=name, role="tuned", source="tiny", repo_id=None, revision=None, architecture=type(model).__name__,
        parameters=model.num_parameters(), hidden_size=config.hidden_size, layers=config.num_hidden_layers,
        vocabulary=config.vocab_size, quantisation="nf4", bytes=(target / "model.safetensors").stat().st_size,
        weights_sha256="0" * 64, path=name,
    )  # fmt: skip


def _random_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return a state in which all linear layers but the head are quantised.

    :param model: on the meta device
    """
    device = default_device()
    torch.manual_seed(0)
    state = {}
    for name, module in model.named_modules():
        for part, empty in module.named_parameters(recurse=False):
            key = f"{name}.{part}"
            if empty.ndim == 1:
                state[key] = torch.ones(empty.shape, dtype=torch.bfloat16)  # the scales of norms
                continue
            drawn = torch.randn(empty.shape, dtype=torch.bfloat16, device=device) * DEVIATION
            if isinstance(module, nn.Linear) and name != "lm_head":
                packed, how = quantize_4bit(drawn, quant_type="nf4", compress_statistics=True)
                state[key] = packed.cpu()
                state |= {f"{key}.{field}": value.cpu() for field, value in how.as_dict(packed=True).items()}
            else:
                state[key] = drawn.cpu()
    if device.type == "cuda":
        torch.cuda.empty_cache()  # each way that is measured begins with an empty card
    return state


def _tokenizer(real: Path | None, *, texts: Sequence[str]) -> PreTrainedTokenizerBase:
    if real is None:
        return train_tokenizer([PROMPTS["training"].render(text) for text in texts], architecture="llama")
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(real)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
