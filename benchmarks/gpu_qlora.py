"""The paper's models in full size with random weights: stock TRL, Unsloth and shared-prefix packing, side by side.

Nothing is downloaded: the architectures are built from their configurations, filled with random bfloat16 weights, and
saved; then they are loaded in NF4 by the code that loads the real ones. Each is trained with the paper's settings
(batch 2 x 4, rank 16, 8-bit AdamW, gradient checkpointing) through (a) plain TRL with padding, (b) Unsloth, where it
is installed, (c) our backend with packing. Speed does not depend on what weights say.

Prints samples/s, the most memory of the card, and the share of the card's peak: floating point operations of the
tokens that were really run, 6 x parameters a token (forward, once more for checkpointing, backward through frozen
weights; Kaplan et al. 2020, https://arxiv.org/abs/2001.08361, section 2.1), over the peak of dense bfloat16. Run
``python -m benchmarks.gpu_qlora`` on a machine with a CUDA card; ``--tiny`` runs it end to end anywhere.
"""

import argparse
import gc
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import pyarrow as pa
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from benchmarks.baselines import read_release
from benchmarks.curation import default_source
from benchmarks.side_by_side import machine
from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.curation.spec import DatasetSpec
from bioalign_assets.models.loading import load_base
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.models.spec import ModelSpec
from bioalign_assets.models.tokenizers import train_tokenizer
from bioalign_assets.training.qlora import train_adapter
from bioalign_assets.training.samples import tokenise_samples, training_rows
from bioalign_assets.training.spec import ExperimentSpec

__all__ = ["main"]

CONFIGURATIONS: dict[str, Callable[[], PreTrainedConfig]] = {
    "llama-3-8b": lambda: LlamaConfig(
        hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8, vocab_size=128_256, max_position_embeddings=8192, rope_theta=500_000.0,
    ),
    "mistral-7b": lambda: MistralConfig(
        hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8, vocab_size=32_768, max_position_embeddings=32_768, rope_theta=1_000_000.0,
        sliding_window=None,
    ),
    "phi-3-mini": lambda: Phi3Config(
        hidden_size=3072, intermediate_size=8192, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=32, vocab_size=32_064, max_position_embeddings=4096, sliding_window=2047,
        pad_token_id=32_000,
    ),
}  # fmt: skip
TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 4000, "max_position_embeddings": 512, "pad_token_id": None}  # fmt: skip
TOKENIZERS = {"mistral-7b": "mistral-7b-instruct-v0.3", "phi-3-mini": "phi-3-mini-4k-instruct"}
"""Folders of the real tokenizers, where they are at hand beside the release; others are trained on its text."""
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12, "T4": 65e12}
"""Dense bfloat16 (T4: float16) operations a second by card, from NVIDIA's data sheets."""
OPERATIONS_A_TOKEN = 6


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One way to train one model."""

    samples_per_s: float
    peak_bytes: int
    tokens_per_s: float


def build(
    name: str, *, folder: Path, texts: Sequence[str], tokenizers: Path | None, is_tiny: bool
) -> ResolvedModel:
    """Save a model of an architecture with random weights, and its tokenizer."""
    config = CONFIGURATIONS[name]()
    if is_tiny:
        for key, value in TINY.items():
            setattr(config, key, value)
        if hasattr(config, "head_dim"):
            config.head_dim = config.hidden_size // config.num_attention_heads
    tokenizer = _tokenizer(name, texts=texts, tokenizers=None if is_tiny else tokenizers)
    config.bos_token_id, config.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    target = folder / name
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    resolved = ResolvedModel(
        model=name, role="tuned", source="tiny", repo_id=None, revision=None, architecture=type(model).__name__,
        parameters=model.num_parameters(), hidden_size=config.hidden_size, layers=config.num_hidden_layers,
        vocabulary=config.vocab_size, quantisation="nf4", bytes=0, weights_sha256="0" * 64, path=name,
    )  # fmt: skip
    del model
    gc.collect()
    return resolved


def _tokenizer(name: str, *, texts: Sequence[str], tokenizers: Path | None) -> PreTrainedTokenizerBase:
    real = None if tokenizers is None else tokenizers / TOKENIZERS.get(name, "none")
    if real is not None and real.is_dir():
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(real)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer
    return train_tokenizer([PROMPTS["training"].render(text) for text in texts], architecture="llama")


def train(
    resolved: ResolvedModel, *, rows: pa.Table, spec: ExperimentSpec, folder: Path
) -> Callable[[int], float]:
    """Return a function that trains for a number of steps and returns the seconds that it took."""

    def run(steps: int) -> float:
        loaded = load_base(resolved, spec=ModelSpec(tiny="llama"), warehouse=folder)
        started = perf_counter()
        train_adapter(
            rows.slice(0, 8 * steps), loaded=loaded, spec=spec.model_copy(update={"steps": steps}),
            adapters=folder / "adapters", name=resolved.model,
        )  # fmt: skip
        seconds = perf_counter() - started
        del loaded
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return seconds

    return run


def measure(run: Callable[[int], float], *, steps: int, tokens_a_step: float) -> Measured:
    """Return the speed between a short and a long training: what both begin and end with is not in it."""
    warm_up = max(1, steps // 5)
    run(warm_up)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    short, long = run(warm_up), run(warm_up + steps)
    seconds = max(long - short, 1e-9)
    return Measured(
        samples_per_s=8 * steps / seconds,
        peak_bytes=torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
        tokens_per_s=tokens_a_step * steps / seconds,
    )


def tokens_a_step(resolved: ResolvedModel, *, rows: pa.Table, folder: Path, is_packed: bool) -> float:
    """Return the tokens that a step of eight samples runs, on average: the longest of each two, or one row."""
    tokenizer = AutoTokenizer.from_pretrained(folder / resolved.path)
    samples = tokenise_samples(
        rows["text"].to_pylist(), labels=rows["label"].to_pylist(), prompts=[PROMPTS["training"]] * len(rows),
        tokenizer=tokenizer, loss="answer", max_tokens=4096,
    )  # fmt: skip
    lengths = [len(sample["input_ids"]) for sample in samples]
    if not is_packed:
        pairs = zip(lengths[::2], lengths[1::2], strict=False)
        return 8 * sum(max(pair) for pair in pairs) / max(1, len(lengths) // 2)
    prefix = len(tokenizer(PROMPTS["training"].shared_prefix)["input_ids"])
    return prefix + 8 * (sum(lengths) / len(lengths) - prefix)


def unsloth_run(resolved: ResolvedModel, *, rows: pa.Table, spec: ExperimentSpec, folder: Path) -> Any:
    """Return a function as ``train`` does, for Unsloth; None where it is not installed or has no card."""
    try:
        from unsloth import FastLanguageModel  # type: ignore[import-not-found]  # an extra of CUDA machines
    except Exception:  # noqa: BLE001 - it raises whatever comes on a machine that it does not like
        return None
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    def run(steps: int) -> float:
        model, tokenizer = FastLanguageModel.from_pretrained(
            str(folder / resolved.path), max_seq_length=spec.max_tokens, load_in_4bit=True
        )
        model = FastLanguageModel.get_peft_model(
            model, r=spec.rank, lora_alpha=spec.alpha, target_modules=list(spec.targets), lora_dropout=0,
            bias="none", use_gradient_checkpointing="unsloth",
        )  # fmt: skip
        texts = [
            PROMPTS["training"].render(row["text"])
            + PROMPTS["training"].answer(row["label"])
            + tokenizer.eos_token
            for row in rows.slice(0, 8 * steps).select(["text", "label"]).to_pylist()
        ]
        with tempfile.TemporaryDirectory() as scratch:
            trainer = SFTTrainer(
                model=model, processing_class=tokenizer, train_dataset=Dataset.from_dict({"text": texts}),
                args=SFTConfig(
                    output_dir=scratch, max_steps=steps, per_device_train_batch_size=2,
                    gradient_accumulation_steps=4, learning_rate=spec.learning_rate, optim=spec.optimiser,
                    max_length=spec.max_tokens, bf16=True, report_to="none", save_strategy="no",
                ),
            )  # fmt: skip
            started = perf_counter()
            trainer.train()
            return perf_counter() - started

    return run


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_qlora", description=__doc__)
    parser.add_argument("--source", default=default_source(), help="a CTD file, or the word synthetic")
    parser.add_argument("--tokenizers", type=Path, help="folder with the real tokenizers")
    parser.add_argument("--models", nargs="+", default=list(CONFIGURATIONS), choices=list(CONFIGURATIONS))
    parser.add_argument("--steps", type=int, default=20, help="optimiser steps that are timed")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes: runs everywhere, measures nothing")
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available() and not options.tiny:
        raise SystemExit(
            "There is no CUDA card here: --tiny runs everything in tiny sizes, to see that it runs."
        )
    associations, _ = read_release(options.source, diseases=None)
    pairs = build_dataset(associations, spec=DatasetSpec(name="published", sampler="published", split="pair"))
    rows = training_rows(pairs, dataset="published").slice(0, 8 * 2 * options.steps + 8)
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no card"
    print(f"{machine()}; {card}; torch {torch.__version__}")
    print("| model | way | samples/s | against stock | peak memory | share of the card's peak |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    paper = ExperimentSpec(train_on="published", evaluate_on=("published",), steps=1, max_tokens=512)
    for name in options.models:
        with tempfile.TemporaryDirectory(prefix="bioalign-benchmark-") as scratch:
            folder = Path(scratch)
            resolved = build(
                name, folder=folder, texts=rows["text"].to_pylist(), tokenizers=options.tokenizers,
                is_tiny=options.tiny,
            )  # fmt: skip
            padded = paper.model_copy(update={"packing": False})
            ways = {
                "TRL, padded 2 x 4": (train(resolved, rows=rows, spec=padded, folder=folder), False),
                "Unsloth": (unsloth_run(resolved, rows=rows, spec=paper, folder=folder), False),
                "BioAlign, packed": (train(resolved, rows=rows, spec=paper, folder=folder), True),
            }
            shown = f"{name} (tiny)" if options.tiny else name
            _print_rows(
                shown, ways=ways, resolved=resolved, rows=rows, folder=folder, options=options, card=card
            )


def _print_rows(
    name: str, *, ways: dict[str, tuple[Any, bool]], resolved: ResolvedModel, rows: pa.Table, folder: Path,
    options: argparse.Namespace, card: str,
) -> None:  # fmt: skip
    stock = None
    for way, (run, is_packed) in ways.items():
        if run is None:
            print(f"| {name} | {way} | not installed | | | |", flush=True)
            continue
        tokens = tokens_a_step(resolved, rows=rows, folder=folder, is_packed=is_packed)
        measured = measure(run, steps=options.steps, tokens_a_step=tokens)
        stock = stock or measured.samples_per_s
        peak = next((flops for part, flops in PEAK_FLOPS.items() if part in card), None)
        used = OPERATIONS_A_TOKEN * resolved.parameters * measured.tokens_per_s
        share = "" if peak is None else f"{used / peak:.1%}"
        memory = f"{measured.peak_bytes / 2**30:.1f} GiB" if measured.peak_bytes else ""
        print(
            f"| {name} | {way} | {measured.samples_per_s:.1f} | {measured.samples_per_s / stock:.2f} x "
            f"| {memory} | {share} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
