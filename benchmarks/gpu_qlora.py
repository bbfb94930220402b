"""The paper's models in full size with random weights: stock TRL, Unsloth and shared-prefix packing, side by side.

Nothing is downloaded: weights are drawn at random on the card, layer by layer, quantised there to NF4, and saved in the
form of published 4-bit models; speed does not depend on what weights say. Each way then trains with the paper's
settings (effective batch 2 x 4, rank 16, 8-bit AdamW, gradient checkpointing) in a process of its own: (a) TRL as it
comes, (b) Unsloth as its documentation has it, where it is installed, (c) our backend with packing and activations
computed anew, and (c) again as it trains by itself: activations kept, and weights unpacked once, as far as the card has
room.

Timed: steps after the warm-up, on the clock, the card idle at both ends; loading and set-up are not in it. Memory: the
most of the card in the training. Share of the card's peak: operations of the tokens that were really run, padding too,
6 x the body's parameters a token (4 where activations are kept; Kaplan et al. 2020, https://arxiv.org/abs/2001.08361,
section 2.1; frozen weights have no gradient), over the peak of dense 16-bit operations. The loss curves of (a) and (c)
are compared; they differ by rounding, as TRL holds the adapter in bfloat16 and rounds what it adds twice.

Run ``python -m benchmarks.gpu_qlora`` on a machine with a CUDA card. What was measured is kept in ``--results`` and not
measured again; ``--minutes`` is a limit after which nothing new begins. ``--tiny`` runs it end to end anywhere.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from time import monotonic
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import LlamaConfig, MistralConfig, PreTrainedConfig

from benchmarks.baselines import read_release
from benchmarks.curation import default_source
from benchmarks.gpu_qlora_way import SPACE, WAYS, run_way
from benchmarks.random_nf4 import save_random_model
from benchmarks.side_by_side import machine
from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets.training.samples import training_rows

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
    # as the paper's authors took it: published in 4 bits, in Mistral's form
    "phi-3-mini": lambda: MistralConfig(
        hidden_size=3072, intermediate_size=8192, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=32, vocab_size=32_064, max_position_embeddings=4096, sliding_window=2048,
        pad_token_id=32_000,
    ),
}  # fmt: skip
TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 4000, "max_position_embeddings": 512, "pad_token_id": None}  # fmt: skip
TOKENIZERS = {
    "llama-3-8b": "llama-3-8b", "mistral-7b": "mistral-7b-instruct-v0.3", "phi-3-mini": "phi-3-mini-4k-instruct",
}  # fmt: skip
"""Folders of the real tokenizers, where they are at hand beside the release; others are trained on its text."""
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12, "T4": 65e12}
"""Dense bfloat16 (T4: float16) operations a second by card, from NVIDIA's data sheets."""
HEADINGS = ("model", "way", "samples/s", "against stock", "peak memory", "share of the card's peak")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_qlora", description=__doc__)
    parser.add_argument(
        "--source", help="a CTD file, or the word synthetic; the real release beside the checkout by default"
    )
    parser.add_argument("--tokenizers", type=Path, help="folder with the real tokenizers")
    parser.add_argument("--models", nargs="+", default=list(CONFIGURATIONS), choices=list(CONFIGURATIONS))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--steps", type=int, default=15, help="optimiser steps that are timed")
    parser.add_argument("--warm-up", type=int, default=4, help="steps before them")
    parser.add_argument("--minutes", type=float, default=60, help="after these no training begins or goes on")
    parser.add_argument("--results", type=Path, default=Path("gpu_qlora.json"), help="what is measured, kept")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes: runs everywhere, measures nothing")
    parser.add_argument(
        "--one-process", action="store_true", help="all ways in this process, without Unsloth"
    )
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available() and not options.tiny:
        raise SystemExit(
            "There is no CUDA card here: --tiny runs everything in tiny sizes, to see that it runs."
        )
    if options.source is None:
        options.source = default_source()
        if options.source == "synthetic" and not options.tiny:
            raise SystemExit(
                "The real release is not beside the checkout, and its texts are what is to be measured: name it with "
                "--source (and --tokenizers), or say --source synthetic."
            )
    end = monotonic() + 60 * options.minutes
    results = _Results(options.results, setting=_setting(options))
    print(results.heading(), flush=True)
    rows = _rows(options.source, count=8 * (options.warm_up + options.steps))
    with tempfile.TemporaryDirectory(prefix="bioalign-benchmark-") as scratch:
        for name in options.models:
            missing = [way for way in options.ways if not results.has(name, way)]
            if missing and monotonic() < end:
                _measure(
                    name,
                    ways=missing,
                    rows=rows,
                    folder=Path(scratch),
                    end=end,
                    options=options,
                    results=results,
                )
            for way in options.ways:
                print(results.line(name, way), flush=True)
            print(results.curves(name), flush=True)


def _setting(options: argparse.Namespace) -> dict[str, Any]:
    """Return what figures hold for: they are kept together only where all of it is the same."""
    packages = ("torch", "transformers", "trl", "peft", "bitsandbytes", "unsloth")
    installed = {dist.metadata["Name"] for dist in metadata.distributions()}
    return {
        "source": Path(options.source).name,
        "tokenizers": {
            name: "real" if _real_tokenizer(name, options=options) else "trained here"
            for name in CONFIGURATIONS
        },
        "card": torch.cuda.get_device_name() if torch.cuda.is_available() else "no card",
        "versions": {name: metadata.version(name) for name in packages if name in installed},
        "is_tiny": options.tiny,
        "steps": options.steps,
        "warm_up": options.warm_up,
    }


def _real_tokenizer(name: str, *, options: argparse.Namespace) -> Path | None:
    """Return the folder of a model's real tokenizer, where it is at hand."""
    folder = options.tokenizers or Path(options.source).parent.parent / "tokenizers"
    real: Path = folder / TOKENIZERS.get(name, "none")
    return real if real.is_dir() and not options.tiny else None


def _rows(source: str, *, count: int) -> pa.Table:
    associations, _ = read_release(source, diseases=None)
    pairs = build_dataset(associations, spec=DatasetSpec(name="published", sampler="published", split="pair"))
    return training_rows(pairs, dataset="published").slice(0, count)


def _measure(
    name: str, *, ways: Sequence[str], rows: pa.Table, folder: Path, end: float, options: argparse.Namespace,
    results: "_Results",
) -> None:  # fmt: skip
    config = CONFIGURATIONS[name]()
    if options.tiny:
        for key, value in TINY.items():
            setattr(config, key, value)
        if hasattr(config, "head_dim"):
            config.head_dim = config.hidden_size // config.num_attention_heads
    resolved = save_random_model(
        config, name=name, folder=folder, texts=rows["text"].to_pylist(),
        tokenizer=_real_tokenizer(name, options=options),
    )  # fmt: skip
    target = resolved.folder(warehouse=folder)
    (target / "resolved.json").write_text(json.dumps(asdict(resolved)), encoding="utf-8")
    pq.write_table(rows, target / "rows.parquet")
    body = resolved.parameters - 2 * resolved.vocabulary * resolved.hidden_size
    for way in ways:
        left = end - monotonic()
        if left <= 0:
            return
        measured = _run(way, folder=target, seconds=left, options=options)
        results.keep(name, way, measured | {"body_parameters": body})
    shutil.rmtree(target)


def _run(way: str, *, folder: Path, seconds: float, options: argparse.Namespace) -> dict[str, Any]:
    if way == "Unsloth" and (not torch.cuda.is_available() or _version("unsloth") is None):
        return {"error": "not installed, or no card"}
    if options.one_process:
        return run_way(way, folder=folder, steps=options.steps, warm_up=options.warm_up)
    made = folder / "measured.json"
    made.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.gpu_qlora_way", way, str(folder)]
    try:
        ended = subprocess.run(
            [*command, str(options.steps), str(options.warm_up), str(made)], check=False, timeout=seconds,
            stdout=2,  # this one's standard output is the table
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"error": "out of time"}
    if not made.is_file():
        return {"error": f"its process ended with status {ended.returncode}"}
    return dict(json.loads(made.read_text(encoding="utf-8")))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


class _Results:
    """What was measured, in a file that each figure is written to as it comes."""

    def __init__(self, path: Path, *, setting: dict[str, Any]) -> None:
        self._path = path
        self._kept: dict[str, Any] = {"setting": setting, "measured": {}}
        if path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["setting"] != setting:
                raise SystemExit(
                    f"{path} holds figures of {kept['setting']}, not of {setting}. Name another file with --results."
                )
            self._kept = kept

    def has(self, name: str, way: str) -> bool:
        """Return whether a figure is there; one that failed is tried again."""
        return "error" not in self._kept["measured"].get(f"{name}: {way}", {"error": ""})

    def keep(self, name: str, way: str, measured: dict[str, Any]) -> None:
        self._kept["measured"][f"{name}: {way}"] = measured
        beside = self._path.with_suffix(".part")
        beside.write_text(json.dumps(self._kept, indent=1) + "\n", encoding="utf-8")
        beside.replace(self._path)

    def heading(self) -> str:
        setting = self._kept["setting"]
        versions = ", ".join(f"{name} {version}" for name, version in setting["versions"].items())
        rule = "| --- | --- | ---: | ---: | ---: | ---: |"
        texts = f"{setting['source']}; tokenizers: " + ", ".join(
            f"{name} {kind}" for name, kind in setting["tokenizers"].items()
        )
        return f"{machine()}; {setting['card']}; {versions}; {texts}\n\n| {' | '.join(HEADINGS)} |\n{rule}"

    def line(self, name: str, way: str) -> str:
        """Return one row of the table."""
        setting = self._kept["setting"]
        shown = f"{name} (tiny)" if setting["is_tiny"] else name
        measured = self._kept["measured"].get(f"{name}: {way}", {"error": "out of time"})
        if "error" in measured:
            return f"| {shown} | {way} | {measured['error'].replace('|', '/')} | | | |"
        stock = self._kept["measured"].get(f"{name}: {WAYS[0]}", {"error": ""})
        speed = _samples_per_s(measured)
        against = "" if "error" in stock else f"{speed / _samples_per_s(stock):.2f} x"
        memory = f"{measured['peak_bytes'] / 2**30:.1f} GiB" if measured["peak_bytes"] else ""
        peak = next((flops for part, flops in PEAK_FLOPS.items() if part in setting["card"]), None)
        a_token = (4 if way == SPACE else 6) * measured["body_parameters"]
        used = a_token * measured["tokens"] / measured["seconds"]
        share = f"{used / peak:.1%}" if peak and measured["tokens"] else ""
        return f"| {shown} | {way} | {speed:.1f} | {against} | {memory} | {share} |"

    def curves(self, name: str) -> str:
        """Return how far the loss curves of stock TRL and ours differ."""
        both = [self._kept["measured"].get(f"{name}: {way}", {}).get("losses") for way in (WAYS[0], WAYS[2])]
        if not all(both):
            return ""
        stock, ours = both
        difference = max(abs(a - b) for a, b in zip(stock, ours, strict=True))
        return f"\n{name}: the loss curves of stock TRL and ours differ by {difference:.2g} nats at most\n"


def _samples_per_s(measured: dict[str, Any]) -> float:
    return 8 * measured["steps"] / measured["seconds"]


if __name__ == "__main__":
    main()
