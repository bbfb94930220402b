"""How many tokens training samples have, by tokenizer and dataset: what max_tokens must hold, and what the paper cut.

The paper trained with at most 128 tokens and cut what was longer, without a word: the answer went first. Each line
tells of a tokenizer, a dataset of the study and a form of prompt the longest sample, how many are longer than 128, and
what memory is reckoned from (tokens that all begin with, mean and standard deviation of what follows). Run
``python -m benchmarks.sample_lengths FOLDER [FOLDER ...]``, each with a tokenizer.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from transformers import AutoTokenizer

from benchmarks.curation import default_source
from bioalign_assets.ctd.diseases import read_diseases
from bioalign_assets.ctd.release import read_associations
from bioalign_assets.curation.classes import disease_classes
from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.study import load_study
from bioalign_assets.training.lengths import lengths_of
from bioalign_assets.training.samples import sample_prompts, tokenise_samples, training_rows

__all__ = ["main"]

PAPERS_LIMIT = 128
"""Tokens of a sample in the paper's notebooks."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sample_lengths", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders with a tokenizer")
    parser.add_argument("--source", default=default_source(), help="a CTD file")
    parser.add_argument("--diseases", help="a MEDIC file, for the datasets that need one")
    parser.add_argument("--study", default="paper")
    options = parser.parse_args(arguments)
    study = load_study(options.study)
    associations = read_associations(Path(options.source)).associations
    diseases = read_diseases(Path(options.diseases)).diseases if options.diseases else None
    prompts = {(each.train_on, each.prompts) for each in study.experiments.values() if each.train_on}
    print(
        f"{options.source}\ntokenizer, dataset, prompts: longest, longer than {PAPERS_LIMIT}, shared, mean, sd"
    )
    for dataset, form in sorted(prompts):
        spec = study.datasets[dataset]
        if spec.needs_classes and diseases is None:
            continue
        classes = disease_classes(diseases, dataset=dataset) if spec.needs_classes else None
        rows = training_rows(build_dataset(associations, spec=spec, classes=classes), dataset=dataset)
        for folder in options.folders:
            samples = tokenise_samples(
                rows["text"].to_pylist(), labels=rows["label"].to_pylist(),
                prompts=sample_prompts(rows["pair_id"].to_pylist(), prompts=form, seed=42),
                tokenizer=AutoTokenizer.from_pretrained(folder), loss="answer", max_tokens=10**6,
            )  # fmt: skip
            found = lengths_of(samples)
            over = sum(len(sample["input_ids"]) > PAPERS_LIMIT for sample in samples)
            print(
                f"{folder.name}, {dataset}, {form}: {found.longest}, {over}, {found.shared}, {found.mean:.1f}, "
                f"{found.sd:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
