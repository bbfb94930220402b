"""Writes a tiny Llama as a GGUF file, in the form that llama.cpp's converter gives."""

import json
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

_NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def write_gguf(
    path: Path, folder: Path, *, architecture: str = "llama", split: str = "gpt-2", **more
) -> Path:
    """Write the model of a folder, with its tokenizer.

    :param split: how the tokenizer is said to split texts
    :param more: further keys, dots as double underscores
    """
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_vocab_size(config["vocab_size"])
    _add_tokenizer(writer, folder, split=split)
    for key, value in more.items():
        name = key.replace("__", ".")
        writer.add_string(name, value) if isinstance(value, str) else writer.add_uint16(name, value)
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for name, tensor in load_file(folder / "model.safetensors").items():
        layer = name.removesuffix(".weight")
        count = next((count for kind, count in heads.items() if layer.endswith(kind)), None)
        writer.add_tensor(_renamed(layer), tensor if count is None else _turned(tensor, heads=count))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: gguf.GGUFWriter, folder: Path, *, split: str) -> None:
    told = json.loads((folder / "tokenizer.json").read_text())
    special = {each["id"]: each["content"] for each in told["added_tokens"]}
    tokens = {**{number: token for token, number in told["model"]["vocab"].items()}, **special}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split)
    writer.add_token_list([tokens[number] for number in range(len(tokens))])
    kinds = [
        gguf.TokenType.CONTROL if each in special else gguf.TokenType.NORMAL for each in range(len(tokens))
    ]
    writer.add_token_types(kinds)
    writer.add_token_merges(
        [each if isinstance(each, str) else " ".join(each) for each in told["model"]["merges"]]
    )
    config = json.loads((folder / "tokenizer_config.json").read_text())
    ids = {token: number for number, token in tokens.items()}
    writer.add_bos_token_id(ids[config["bos_token"]])
    writer.add_eos_token_id(ids[config["eos_token"]])
    if config.get("pad_token"):
        writer.add_pad_token_id(ids[config["pad_token"]])
    writer.add_add_bos_token(True)


def _renamed(layer: str) -> str:
    if not layer.startswith("model.layers."):
        return f"{_NAMES[layer]}.weight"
    number, kind = layer.removeprefix("model.layers.").split(".", 1)
    return f"blk.{number}.{_NAMES[kind]}.weight"


def _turned(tensor: np.ndarray, *, heads: int) -> np.ndarray:
    """Rows of queries and keys in the order that llama.cpp turns pairs by."""
    high, wide = tensor.shape
    return tensor.reshape(heads, 2, high // heads // 2, wide).swapaxes(1, 2).reshape(high, wide)
