"""The shape of a decoder, from its configuration: enough to count parameters and bytes without loading anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["PUBLISHED", "TINY", "Architecture", "Published"]

_KNOWN = frozenset({"llama", "mistral", "phi3"})
"""Values of ``model_type`` whose layers are those that are counted here."""
NF4_BYTES = 1 / 2 + 1 / 64 + 4 / (64 * 256)
"""Bytes of a weight in NF4 with double quantisation: 4 bits, an 8-bit scale for 64 weights, and a 32-bit one for 256
scales (Dettmers et al. 2023, https://arxiv.org/abs/2305.14314, section 3)."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A decoder of Llama's kind: gated feed-forward layers, no biases, grouped keys and values."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    is_tied: bool = False
    """Whether the output layer is the embedding"""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Architecture | None":
        """Return the shape that a ``config.json`` tells; None where it is of another kind, or says too little."""
        if config.get("model_type") not in _KNOWN:
            return None
        try:
            hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
            return cls(
                hidden=hidden,
                intermediate=int(config["intermediate_size"]),
                layers=int(config["num_hidden_layers"]),
                heads=heads,
                kv_heads=int(config.get("num_key_value_heads") or heads),
                head_dim=int(config.get("head_dim") or hidden // heads),
                vocabulary=int(config["vocab_size"]),
                is_tied=bool(config.get("tie_word_embeddings", False)),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            return None

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """Width in and out of the linear layers of one decoder layer, by name (fused ones taken apart)."""
        query, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "q_proj": (self.hidden, query), "k_proj": (self.hidden, keys), "v_proj": (self.hidden, keys),
            "o_proj": (query, self.hidden), "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate), "down_proj": (self.intermediate, self.hidden),
        }  # fmt: skip

    @property
    def linear_parameters(self) -> int:
        """Number of parameters in the linear layers of all decoder layers: those that are quantised."""
        return self.layers * sum(wide * high for wide, high in self.linears.values())

    @property
    def other_parameters(self) -> int:
        """Number of parameters that are never quantised: embedding, output layer, norms."""
        return self.vocabulary * self.hidden * (1 if self.is_tied else 2) + self.hidden * (
            2 * self.layers + 1
        )

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return self.linear_parameters + self.other_parameters

    def weight_bytes(self, *, is_nf4: bool, width: float) -> int:
        """Return the size of the weights, in memory or in a file.

        :param is_nf4: whether the linear layers are in NF4; in ``width`` otherwise
        :param width: bytes of a weight that is not quantised
        """
        linear = self.linear_parameters * (NF4_BYTES if is_nf4 else width)
        return round(linear + self.other_parameters * width)

    def lora_parameters(self, *, rank: int, targets: tuple[str, ...]) -> int:
        """Return the number of parameters of an adapter (fused layers have fewer: an upper bound there)."""
        return self.layers * sum(rank * sum(self.linears[name]) for name in targets if name in self.linears)


@dataclass(frozen=True, kw_only=True)
class Published:
    """What is known of a published model before anything of it is here.

    :param model_type: what transformers calls its kind
    :param is_nf4: whether its files hold NF4 already; 16-bit weights otherwise
    :param is_pickled: whether they are in the form before safetensors
    """

    architecture: Architecture
    model_type: str
    is_nf4: bool
    is_pickled: bool = False

    @property
    def file_bytes(self) -> int:
        """Size of the weight files, computed from the architecture."""
        return self.architecture.weight_bytes(is_nf4=self.is_nf4, width=2)

    @property
    def config(self) -> dict[str, Any]:
        """The part of ``config.json`` that tells the shape."""
        shape = self.architecture
        return {
            "model_type": self.model_type,
            "hidden_size": shape.hidden,
            "intermediate_size": shape.intermediate,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.kv_heads,
            "head_dim": shape.head_dim,
            "vocab_size": shape.vocabulary,
            "tie_word_embeddings": shape.is_tied,
        }


def _like_mistral(vocabulary: int) -> Architecture:
    return Architecture(
        hidden=4096, intermediate=14336, layers=32, heads=32, kv_heads=8, head_dim=128, vocabulary=vocabulary
    )


PUBLISHED: dict[str, Published] = {
    # Llama 3 8B: Grattafiori et al. 2024, https://arxiv.org/abs/2407.21783, table 3
    "unsloth/llama-3-8b-bnb-4bit": Published(
        architecture=_like_mistral(128_256), model_type="llama", is_nf4=True
    ),
    # Mistral 7B: Jiang et al. 2023, https://arxiv.org/abs/2310.06825, table 1; v0.3 has 768 more tokens
    "unsloth/mistral-7b-instruct-v0.3-bnb-4bit": Published(
        architecture=_like_mistral(32_768), model_type="mistral", is_nf4=True
    ),
    # Phi-3 Mini: Abdin et al. 2024, https://arxiv.org/abs/2404.14219, section 2; feed-forward width and vocabulary
    # from the configuration that transformers has as its default for Phi-3. Published in Mistral's form: what Phi-3
    # fuses (queries, keys and values; gate and up) is apart, as many weights and a larger adapter
    "unsloth/phi-3-mini-4k-instruct-bnb-4bit": Published(
        architecture=Architecture(
            hidden=3072, intermediate=8192, layers=32, heads=32, kv_heads=32, head_dim=96, vocabulary=32_064
        ),
        model_type="mistral",
        is_nf4=True,
    ),
    # BioMistral 7B: Labrak et al. 2024, https://arxiv.org/abs/2402.10373, is Mistral 7B Instruct v0.1 trained on
    "BioMistral/BioMistral-7B": Published(
        architecture=_like_mistral(32_000), model_type="mistral", is_nf4=False, is_pickled=True
    ),
    # SmolLM2 135M: Ben Allal et al. 2025, https://arxiv.org/abs/2502.02737, appendix A; counted on the model itself
    "HuggingFaceTB/SmolLM2-135M-Instruct": Published(
        architecture=Architecture(
            hidden=576,
            intermediate=1536,
            layers=30,
            heads=9,
            kv_heads=3,
            head_dim=64,
            vocabulary=49_152,
            is_tied=True,
        ),
        model_type="llama",
        is_nf4=False,
    ),
}
"""The built-in studies' models, so that ``bioalign doctor`` can tell what they need without a network. Once a model's
configuration is here, that is what counts."""

TINY = Architecture(hidden=128, intermediate=512, layers=4, heads=4, kv_heads=2, head_dim=32, vocabulary=2048)
"""The tiny models' shape (``models/tiny.py``), with as many tokens as their tokenizers may have."""
