"""The model card of an exported variant: what it is, what it was made from, how well it does, and beside what.

Nothing in it is of this machine, and every figure is the warehouse's.
"""

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from huggingface_hub import EvalResult, ModelCardData

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.report.blocks import Link, Text
from bioalign_assets.report.source_sections import citation_section
from bioalign_assets.report.words import QUESTION, cautions
from bioalign_assets.study import Study, Variant
from bioalign_assets.study.spec import Reader
from bioalign_assets.training.home import base_facts, held_in, is_published
from bioalign_assets.training.provenance import stored_provenance
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

__all__ = ["Handed", "model_card"]

_FIGURES = {"auroc": ("roc_auc", "AUROC"), "accuracy": ("accuracy", "Accuracy")}


@dataclass(frozen=True, kw_only=True)
class Handed:
    """What an export hands on."""

    variant: Variant
    study: Study
    tables: Tables
    base: ResolvedModel
    adapter: dict[str, Any]
    """Row of ``training.adapter``"""
    merged: bool
    """Whether base and adapter are one model in it"""
    dtype: str
    """Type of the base's weights as published, such as ``bfloat16``"""
    in_4_bits: bool
    """Whether the base's files are in 4 bits themselves"""
    licence: str | None
    """Identifier of the base's licence, where something at hand says it"""
    stale: tuple[str, ...]
    """Reasons why the figures in the warehouse may be of an earlier adapter"""

    @property
    def release(self) -> dict[str, Any]:
        """The row of ``ctd.release``."""
        row: dict[str, Any] = self.tables.read(TABLES["ctd.release"]).to_pylist()[0]
        return row

    @property
    def holds_base(self) -> bool:
        """Whether the base lies beside the adapter: nobody could fetch it."""
        return not self.merged and not is_published(self.base)


def model_card(handed: Handed) -> str:
    """Return the card: YAML that the hub's library reads, and Markdown."""
    leaderboard = handed.tables.read(TABLES["report.leaderboard"])
    sections = [
        f"# {handed.variant.key}",
        _what(handed, leaderboard=leaderboard),
        f"## How to load it\n\n{_loading(handed)}",
        f"## Figures\n\n{_figures(handed, leaderboard=leaderboard)}",
        f"## What it was made from\n\n{_made_from(handed)}",
        f"## Settings\n\n{_settings(handed)}",
        f"## What it is for, and what not\n\n{_LIMITS}",
        f"## Licence\n\n{_licence(handed)}",
        f"## Sources to cite\n\n{_citation()}",
    ]
    body = "\n\n".join(sections)
    return f"---\n{_metadata(handed, leaderboard=leaderboard).to_yaml()}\n---\n\n{body}\n"


_LIMITS = (
    "It is made for studying whether fine-tuning makes a language model agree with a curated knowledge graph: asked "
    "with the prompts above, it says `true` or `false` of a statement that a gene is associated with a disease. "
    "**It is no medical device and no source of facts**: nothing that it says may guide a diagnosis, a treatment or an "
    "experiment on its own. A pair that CTD has not curated is not false. Read its figures beside the baselines: what "
    "a baseline without any language reaches, the model did not learn from language."
)


def _metadata(handed: Handed, *, leaderboard: pa.Table) -> ModelCardData:
    return ModelCardData(
        language="en",
        license=handed.licence or "other",
        license_name=None if handed.licence else "that-of-the-base-model",
        library_name="transformers" if handed.merged else "peft",
        pipeline_tag="text-generation",
        tags=["bioalign", "biology", "gene-disease-association", *([] if handed.merged else ["lora"])],
        base_model=handed.base.repo_id if is_published(handed.base) else None,
        model_name=handed.variant.key,
        eval_results=[
            EvalResult(
                task_type="text-classification",
                dataset_type=f"bioalign-{row['test_set']}",
                dataset_name=f"CTD gene-disease statements, test split of {row['test_set']}",
                dataset_split="test",
                metric_type=kind,
                metric_name=f"{title}, {row['prompt']} prompt, n = {row['n']}",
                metric_value=row[name],
            )
            for row in _own(handed, leaderboard)
            for name, (kind, title) in _FIGURES.items()
        ]
        or None,
    )


def _own(handed: Handed, leaderboard: pa.Table) -> list[dict[str, Any]]:
    who = (handed.variant.model, handed.variant.experiment)
    rows: list[dict[str, Any]] = leaderboard.to_pylist()
    return [row for row in rows if (row["model"], row["experiment"]) == who]


def _what(handed: Handed, *, leaderboard: pa.Table) -> str:
    form = "A whole model: base and adapter merged" if handed.merged else "A LoRA adapter"
    own = pa.Table.from_pylist(_own(handed, leaderboard), schema=leaderboard.schema)
    said = cautions(own, is_synthetic=handed.release["is_synthetic"])
    warnings = "".join(f"\n\n> {caution}" for caution in said)
    return (
        f"{form}, trained by BioAlign in the study “{' '.join(handed.study.title.split())}” to tell CTD's curated "
        f"gene-disease associations from generated ones. {QUESTION}{warnings}"
    )


def _loading(handed: Handed) -> str:
    quantised = handed.base.quantisation == "nf4" and not handed.merged and not handed.in_4_bits
    names = ["AutoTokenizer"]
    if not (is_published(handed.base) and not handed.merged):
        names.insert(0, "AutoModelForCausalLM")
    if quantised:
        names.append("BitsAndBytesConfig")
    lines = [f"from transformers import {', '.join(names)}", ""]
    more = f', dtype="{handed.dtype}"'
    if quantised:
        lines += [
            "in_4_bits = BitsAndBytesConfig(  # as it was trained and measured",
            '    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,',
            f'    bnb_4bit_compute_dtype="{handed.dtype}",',
            ")",
        ]
        more += ", quantization_config=in_4_bits"
    loader = "AutoModelForCausalLM"
    if not handed.merged and is_published(handed.base):
        lines.insert(0, "from peft import AutoPeftModelForCausalLM")
        loader = "AutoPeftModelForCausalLM"
    lines += [
        f'model = {loader}.from_pretrained("FOLDER"{more})',
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
    ]
    told = [f"```python\n{chr(10).join(lines)}\n```"]
    if handed.holds_base:
        told.append(
            "That loads the base in `base/` with the adapter on it (tried with transformers 5.17, PEFT installed); no "
            "hub is asked. PEFT takes the base's path from where Python runs: in this folder "
            '`AutoPeftModelForCausalLM.from_pretrained(".")` does, and from anywhere\n\n'
            "```python\nfrom peft import PeftModel\n\n"
            'model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("FOLDER/base"'
            f'{more}), "FOLDER")\n```'
        )
    elif not handed.merged:
        told.append(
            "PEFT fetches the base from the hub, at the commit that the adapter's configuration names."
        )
    elif handed.base.quantisation == "nf4":
        told.append(
            "While it was trained and measured, the base's weights were held in 4 bits (NF4). The merged weights are "
            f"those 4-bit weights, unpacked to {handed.dtype}, plus the adapter: not the base's weights as they were "
            "before they were put into 4 bits."
        )
    told.append(
        "It was asked with these prompts; `{text}` is a statement such as `TNF is associated with Asthma`:"
    )
    told += [
        f"- {name}:\n\n```text\n{PROMPTS[name].template}\n```" for name in handed.study.evaluation.prompts
    ]
    return "\n\n".join(told)


def _figures(handed: Handed, *, leaderboard: pa.Table) -> str:
    own = _own(handed, leaderboard)
    if not own:
        return "There are none yet: nobody has asked this variant (`bioalign run` does)."
    blocks = []
    if handed.stale:
        blocks.append(
            "> Some of what these figures come from was stale when they were written here, so they may be of an "
            f"earlier adapter: {'; '.join(handed.stale)}."
        )
    untuned = handed.study.untuned_counterpart(handed.variant)
    rows: list[dict[str, Any]] = leaderboard.to_pylist()
    for mine in own:
        others = [
            row
            for row in rows
            if (row["test_set"], row["prompt"]) == (mine["test_set"], mine["prompt"])
            and (
                row["role"] == "baseline"
                or (
                    untuned is not None
                    and (row["model"], row["experiment"]) == (untuned.model, untuned.experiment)
                )
            )
        ]
        lines = [
            f"Test set {mine['test_set']}, {mine['prompt']} prompt:",
            "",
            "| | AUROC [95%] | accuracy [95%] | n |",
            "| --- | --- | --- | ---: |",
            *(_line(row, is_own=row is mine) for row in (mine, *others)),
        ]
        blocks.append("\n".join(lines))
        if mine["is_above_popularity"] is not None:
            beats = "beats" if mine["is_above_popularity"] else "does **not** beat"
            blocks.append(
                f"It {beats} popularity there (AUROC, with the whole interval of the difference), a baseline that only "
                "counts how often a gene and a disease occur among the training positives."
            )
    return "\n\n".join(blocks)


def _line(row: dict[str, Any], *, is_own: bool) -> str:
    name = row["model"] if row["role"] == "baseline" else f"{row['model']}@{row['experiment']}"
    who = f"**{name}**" if is_own else f"{name} ({row['role']})"
    return f"| {who} | {_interval(row, 'auroc')} | {_interval(row, 'accuracy')} | {row['n']:,} |"


def _interval(row: dict[str, Any], name: str) -> str:
    return f"{row[name]:.4f} [{row[f'{name}_ci_low']:.4f}, {row[f'{name}_ci_high']:.4f}]"


def _made_from(handed: Handed) -> str:
    made = stored_provenance(handed.adapter["provenance"], variant=handed.variant.key)
    facts = {f"base {name}": told for name, told in base_facts(handed.base).items()}
    release = handed.release
    created = release["report_created"]
    facts["CTD release"] = (
        "synthetic (made up: no CTD data)" if release["is_synthetic"]
        else "of unknown date" if created is None
        else f"made by CTD on {created.date().isoformat()}"
    )  # fmt: skip
    facts["associations in it"] = f"{release['rows']:,}"
    facts["SHA-256 of the associations"] = release["content_sha256"]
    pairs = handed.tables.read(TABLES["curation.pairs"], partitions=[made.dataset])
    sizes = {split: pc.sum(pc.equal(pairs["split"], split)).as_py() or 0 for split in ("train", "test")}
    facts["dataset"] = f"{made.dataset}: {sizes['train']:,} training and {sizes['test']:,} test statements"
    facts["SHA-256 of the dataset"] = made.dataset_version
    facts["SHA-256 of the adapter"] = handed.adapter["sha256"]
    facts["trained"] = (
        f"{handed.adapter['trainable_parameters']:,} parameters, {handed.adapter['steps']:,} steps, "
        f"{handed.adapter['samples']:,} samples"
    )
    facts["libraries"] = ", ".join(f"{name} {version}" for name, version in sorted(made.libraries.items()))
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {told} |" for name, told in facts.items())])


def _settings(handed: Handed) -> str:
    spec = handed.study.experiments[handed.variant.experiment]
    settings = spec.read_by(Reader.TRAINING)
    lines = [
        f"| {name} | {json.dumps(value, ensure_ascii=False)} |"
        for name, value in settings.items()
        if value is not None
    ]
    return "\n".join(
        [f"The base was held in {held_in(handed.base)}, and the adapter trained with", "",
         "| setting | |", "| --- | --- |", *lines]
    )  # fmt: skip


def _licence(handed: Handed) -> str:
    learned = (
        "" if handed.release["is_synthetic"] else " CTD's terms apply to what was learned from its data."
    )
    if handed.base.source == "tiny":
        return (
            "The base was built here by BioAlign from random weights and the names in the release: it has no publisher "
            f"whose licence would apply.{learned}"
        )
    where = (
        f"[{handed.base.repo_id}](https://huggingface.co/{handed.base.repo_id})"
        if is_published(handed.base)
        else "whoever published the base"
    )
    said = (
        f"That of the base model, which says `{handed.licence}` of itself"
        if handed.licence
        else "That of the base model; nothing at hand where this was written says which it is"
    )
    return f"{said}: see {where} before you pass it on.{learned}"


def _citation() -> str:
    def told(block: Text) -> str:
        return "".join(
            f"[{part.text}]({part.href})" if isinstance(part, Link) else part for part in block.parts
        )

    return "\n\n".join(told(block) for block in citation_section().blocks if isinstance(block, Text))
