"""Answers to prompts against the published procedure, side by side: one prompt at a time through ``generate``.

The published way tokenises one prompt, has the model's ``generate`` write three tokens, decodes them, and takes the
next one. Ours is ``inference.answers.ask``, which gives p_true as well. Both ask the same tiny model, 4-bit NF4 base
weights, about the same test rows in one thread. Answers must be the same but for ties: prompts of which the two
likeliest tokens are closer than rounding at some place are counted and shown, any other difference ends the
benchmark. Run ``python -m benchmarks.answers``.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import torch

from benchmarks.curation import default_source
from benchmarks.inference import Setting, prepared
from benchmarks.side_by_side import machine, side_by_side
from bioalign_assets.curation.prompts import PROMPTS, Prompt
from bioalign_assets.inference.answers import ANSWER_LENGTH, ask
from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.study.models import TinyArchitecture

__all__ = ["main"]

_ROUNDING = 1e-4
"""Logits that are closer than this may change places with the order of sums."""


def published(texts: Sequence[str], *, prompt: Prompt, loaded: LoadedModel) -> tuple[list[str], list[float]]:
    """Return the answers of the published procedure, and how far the likeliest token led at the closest place."""
    answers, leads = [], []
    for text in texts:
        encoded = loaded.tokenizer(prompt.render(text), return_tensors="pt").to(loaded.device)
        with torch.no_grad():
            written = loaded.model.generate(
                **encoded, max_new_tokens=ANSWER_LENGTH, do_sample=False, output_logits=True,
                return_dict_in_generate=True, pad_token_id=loaded.tokenizer.pad_token_id,
            )  # fmt: skip
        new = written.sequences[0, encoded["input_ids"].shape[1] :]
        answers.append(loaded.tokenizer.decode(new, skip_special_tokens=True))
        best = [logits[0].topk(2).values for logits in written.logits]
        leads.append(min(float(two[0] - two[1]) for two in best))
    return answers, leads


def same_answers(setting: Setting, *, prompt: Prompt) -> str:
    """Return in words how the answers of both compare.

    :raises SystemExit: if they differ in more than ties
    """
    ours = ask(setting.texts, prompt=prompt, loaded=setting.loaded).answer
    theirs, leads = published(setting.texts, prompt=prompt, loaded=setting.loaded)
    ties = [lead < _ROUNDING for lead in leads]
    differ = [one != other for one, other in zip(ours, theirs, strict=True)]
    wrong = [place for place, is_other in enumerate(differ) if is_other and not ties[place]]
    if wrong:
        place = wrong[0]
        raise SystemExit(
            f"{len(wrong)} answers differ, such as {ours[place]!r} for {theirs[place]!r} to {setting.texts[place]!r}"
        )
    count = len(ours) - sum(differ)
    return (
        f"same answers: {count:,} of {len(ours):,}; ties within {_ROUNDING:g}: {sum(ties)}, other answers among "
        f"these: {sum(differ)}; {len(set(ours))} different answers"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answers", description=__doc__)
    parser.add_argument("--source", default=default_source(), help="a CTD file, or the word synthetic")
    parser.add_argument("--model", default="llama", choices=get_args(TinyArchitecture))
    parser.add_argument(
        "--tuned", action="store_true", help="with an adapter of the paper's shape on the model"
    )
    parser.add_argument("--prompt", default="unseen", choices=PROMPTS, help="the paper asks the unseen one")
    parser.add_argument("--rows", type=int, default=200, help="test rows")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls of each")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # as tiny models run in the demo
    prompt = PROMPTS[options.prompt]
    with tempfile.TemporaryDirectory(prefix="bioalign-benchmark-") as scratch:
        setting = prepared(
            options.source,
            model=options.model,
            is_tuned=options.tuned,
            rows=options.rows,
            folder=Path(scratch),
        )
        same = same_answers(setting, prompt=prompt)
        print(machine())
        print(f"{setting.told}, prompt {prompt.name}, one thread ({options.source})")
        print(same)
        side_by_side(
            lambda: ask(setting.texts, prompt=prompt, loaded=setting.loaded),
            lambda: published(setting.texts, prompt=prompt, loaded=setting.loaded),
            names=("ours", "one at a time"),
            repeats=options.repeats,
        )


if __name__ == "__main__":
    main()
