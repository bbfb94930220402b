"""Every table of the warehouse: its columns, their types, units or ranges, and what they mean.

Tables are written and read through these schemas, DuckDB shows them as comments, Dagster as column schemas,
and ``docs/data_dictionary.md`` is generated from them. A table is partitioned by the column that bears the
name of its partition set (``dataset``, ``model`` or ``variant``).

A column with ``in_version=False`` (when something was fetched, how long it took) does not enter the content
hash that is the table's data version.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

__all__ = ["TABLES", "Column", "PartitionSet", "TableSchema"]

PartitionSet = Literal["dataset", "model", "variant"]

TEXT = pa.string()
TEXTS = pa.list_(pa.string())
INTEGER = pa.int64()
LABEL = pa.int8()
REAL = pa.float64()
FLAG = pa.bool_()
MOMENT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: Arrow type, meaning, and its unit or range where it has one."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str | None = None
    nullable: bool = False
    allowed: tuple[str | int, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    in_version: bool = True

    @property
    def unit_or_range(self) -> str:
        """The unit, the allowed values or the range, as text; empty where there is none."""
        if self.allowed is not None:
            return ", ".join(map(str, self.allowed))
        span = ""
        if self.minimum is not None or self.maximum is not None:
            low = "" if self.minimum is None else f"{self.minimum:g}"
            high = "" if self.maximum is None else f"{self.maximum:g}"
            span = f"{low} … {high}".strip()
        return ", ".join(part for part in (self.unit, span) if part)


@dataclass(frozen=True, kw_only=True)
class TableSchema:
    """One table: where it stands, how it is partitioned, what one row is."""

    room: str
    name: str
    row: str
    columns: tuple[Column, ...]
    partitioned_by: PartitionSet | None = None
    unique: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    """Columns that rows are kept in the order of; those of ``unique`` by default"""
    may_be_empty: bool = False
    """Whether no rows at all are a right answer: nothing changed, no seeds to pool"""
    by_name: Mapping[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})
        if not self.order:
            object.__setattr__(self, "order", self.unique)
        unknown = set(self.unique + self.order) - set(self.by_name)
        if self.partitioned_by is not None:
            unknown |= {self.partitioned_by} - set(self.by_name)
        if unknown:
            raise ValueError(f"{self.full_name}: no such columns: {sorted(unknown)}")

    @property
    def full_name(self) -> str:
        """``room.table``, as DuckDB names it."""
        return f"{self.room}.{self.name}"

    @property
    def arrow(self) -> pa.Schema:
        """The Arrow schema, in column order."""
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns])

    @property
    def versioned_columns(self) -> list[str]:
        """Names of the columns that make up the content hash."""
        return [c.name for c in self.columns if c.in_version]


def _c(name: str, type_: pa.DataType, meaning: str, **more: object) -> Column:
    return Column(name=name, type=type_, meaning=meaning, **more)  # type: ignore[arg-type]


_GENE_SYMBOL = _c("gene_symbol", TEXT, "Official symbol of the gene, exactly as CTD spells it")
_GENE_ID = _c("gene_id", INTEGER, "NCBI Gene identifier", minimum=1)
_DISEASE_NAME = _c("disease_name", TEXT, "Name of the disease in CTD's vocabulary MEDIC")
_DISEASE_ID = _c("disease_id", TEXT, "Identifier of the disease: MESH:… or OMIM:…")
_PUBMED_IDS = _c(
    "pubmed_ids", TEXTS, "PubMed identifiers of the articles behind the association; empty where none"
)
_PAIR_ID = _c(
    "pair_id",
    TEXT,
    "First 16 hex digits of the SHA-256 of gene symbol and disease name: the same pair has the same id in every dataset",
)
_ROW_NUMBER = _c("row_number", INTEGER, "Position of the row in the dataset, from 0", minimum=0)
_LABEL = _c(
    "label", LABEL, "1 where CTD has curated the association, 0 where it was generated", allowed=(0, 1)
)
_DATASET = _c("dataset", TEXT, "Name of the dataset in the study file")
_MODEL_KEY = _c("model", TEXT, "Name of the model in the study file")
_VARIANT = _c("variant", TEXT, "The variant: <model>@<experiment>")
_MODEL = _c("model", TEXT, "Name of the model in the study file, or of the baseline")
_EXPERIMENT = _c("experiment", TEXT, "Name of the experiment in the study file; baseline for a baseline")
_TEST_SET = _c("test_set", TEXT, "Name of the dataset whose test split was asked")
_PROMPT = _c(
    "prompt",
    TEXT,
    "Prompt that was asked: unseen (never trained on) or training; empty where the figure needs no prompt",
    nullable=True,
)
_SCOPE = _c(
    "scope",
    TEXT,
    "Rows that were scored: sample (the evaluation sample, the same rows for all; without those that a model was trained on through another dataset), full (the whole test split), or that part of it whose gene, disease or both stand in no training row",
    allowed=("sample", "full", "gene-unseen", "disease-unseen", "both-unseen"),
)
_METRICS = (
    _MODEL,
    _EXPERIMENT,
    _TEST_SET,
    _PROMPT,
    _SCOPE,
    _c("metric", TEXT, "Name of the metric; docs/metrics.md has its formula, range and direction"),
    _c("value", REAL, "The figure"),
    _c("ci_low", REAL, "Lower end of the 95% bootstrap interval", nullable=True),
    _c("ci_high", REAL, "Upper end of the 95% bootstrap interval", nullable=True),
    _c("n", INTEGER, "Rows behind the figure", unit="rows", minimum=1),
    _c("seed", INTEGER, "Seed of the draws behind the figure (bootstrap, splits, maps)"),
)
_METRICS_UNIQUE = ("model", "experiment", "test_set", "prompt", "scope", "metric")


_ALIGNED = (
    _c(
        "measure",
        TEXT,
        "How geometry and graph are compared; docs/metrics.md has its formula, range and direction",
    ),
    _c(
        "kind",
        TEXT,
        "Whose geometry: that of genes, of diseases, or of the edges between them",
        allowed=("gene", "disease", "edge"),
    ),
)
_EDGES = _c(
    "edges",
    TEXT,
    "Which edges of the graph: all of the release, those that the variant was trained on, or those that it was not",
    allowed=("all", "trained", "held-out"),
)
_AGAINST_NULL = (
    _c("value", REAL, "The figure"),
    _c("null_mean", REAL, "Mean of the figure over rewirings of the graph that keep every degree"),
    _c("null_sd", REAL, "Its standard deviation over them", minimum=0),
    _c(
        "z",
        REAL,
        "Figure minus null mean, in standard deviations; empty where the null has none",
        nullable=True,
    ),
    _c(
        "p_value",
        REAL,
        "Share of rewirings that do as well, the graph itself counted (one-sided)",
        minimum=0,
        maximum=1,
    ),
    _c(
        "calibrated",
        REAL,
        "Figure on the scale on which the null mean is 0 and the best possible 1; empty where the null is that already",
        maximum=1,
        nullable=True,
    ),
)
_ENDS = (
    _c("ci_low", REAL, "Lower end of the figure's 95% interval over entities", nullable=True),
    _c("ci_high", REAL, "Upper end of the figure's 95% interval", nullable=True),
    _c(
        "calibrated_ci_low",
        REAL,
        "Lower end of the calibrated score's 95% interval, the null held fixed",
        nullable=True,
    ),
    _c("calibrated_ci_high", REAL, "Upper end of that interval", nullable=True),
)
_INTERVALS = (
    *_ENDS,
    _c("rewirings", INTEGER, "Rewirings behind the null", minimum=1),
    _c("n", INTEGER, "Names that were compared, or edges", minimum=1),
    _c("seed", INTEGER, "Seed of the draws behind the figure"),
)


def _metric_table(name: str, row: str, *more: Column) -> TableSchema:
    return TableSchema(room="evaluation", name=name, row=row, partitioned_by="variant",
                       columns=(_VARIANT, *_METRICS, *more), unique=_METRICS_UNIQUE)  # fmt: skip


_ALL: tuple[TableSchema, ...] = (
    TableSchema(
        room="ctd", name="release", row="The CTD release in force (one row)",
        columns=(
            _c("source_uri", TEXT, "Where the file was taken from", in_version=False),
            _c("file_name", TEXT, "Name of the file as fetched", in_version=False),
            _c("raw_path", TEXT, "The kept raw file, below the warehouse folder", in_version=False),
            _c("sha256", TEXT, "SHA-256 of the file's bytes", in_version=False),
            _c("content_sha256", TEXT, "SHA-256 of the associations in it, whatever the header, compression or line ends"),
            _c("bytes", INTEGER, "Size of the file", unit="bytes", minimum=1, in_version=False),
            _c("report_created", MOMENT, "When CTD made the file, from its header; empty where the file has no header", nullable=True, in_version=False),
            _c("rows", INTEGER, "Associations in the file", unit="rows", minimum=1),
            _c("is_synthetic", FLAG, "Whether this is the built-in demo release, not CTD data"),
            _c("retrieved_at", MOMENT, "When it was fetched", in_version=False),
            _c("remarks", TEXTS, "What was mended in the file's fields, is odd in them or was passed over, each with how often and the first line", nullable=True, in_version=False),
        ),
    ),
    TableSchema(
        room="ctd", name="associations", row="One curated gene-disease association of the release, in file order",
        unique=("row_number",),
        columns=(
            _c("row_number", INTEGER, "Position in the file, from 0", minimum=0),
            _GENE_SYMBOL, _GENE_ID, _DISEASE_NAME, _DISEASE_ID,
            _c("direct_evidence", TEXTS, "Kinds of direct evidence: marker/mechanism, therapeutic"),
            _c("omim_ids", TEXTS, "OMIM identifiers behind the association; empty where none"),
            _PUBMED_IDS,
        ),
    ),
    TableSchema(
        room="ctd", name="diseases", row="One disease of CTD's vocabulary MEDIC", unique=("disease_id",),
        columns=(
            _DISEASE_ID, _DISEASE_NAME,
            _c("alternative_ids", TEXTS, "Further identifiers of the same disease"),
            _c("parent_ids", TEXTS, "Identifiers of the diseases right above it"),
            _c("tree_numbers", TEXTS, "Its places in the MeSH tree"),
            _c("classes", TEXTS, "Its broad disease classes (MEDIC-Slim)"),
        ),
    ),
    TableSchema(
        room="ctd", name="changes", row="One association that differs from the release before", may_be_empty=True,
        columns=(
            _c("change", TEXT, "What happened to it", allowed=("added", "removed", "changed")),
            _GENE_SYMBOL, _GENE_ID, _DISEASE_NAME, _DISEASE_ID,
            _c("detail", TEXT, "What differs: column, value before and value now; empty for added and removed", nullable=True),
        ),
    ),
    TableSchema(
        room="curation", name="disease_classes", row="One class of one disease, as a same-class dataset reads it",
        partitioned_by="dataset", unique=("dataset", "disease_id", "disease_class"),
        columns=(
            _DATASET,
            _c("disease_id", TEXT, "Identifier of the disease in MEDIC, its own or an alternative one"),
            _c("disease_class", TEXT, "A broad disease class of it (MEDIC-Slim); a disease without a class is not here"),
        ),
    ),
    TableSchema(
        room="curation", name="pairs", row="One labelled gene-disease statement of a dataset",
        partitioned_by="dataset", unique=("dataset", "row_number"),
        columns=(
            _DATASET, _ROW_NUMBER, _PAIR_ID, _GENE_SYMBOL, _GENE_ID, _DISEASE_NAME, _DISEASE_ID,
            _c("text", TEXT, "The statement: {gene_symbol} is associated with {disease_name}"),
            _PUBMED_IDS, _LABEL,
            _c("label_source", TEXT, "Where the label comes from: ctd (curated) or generated (a drawn negative)", allowed=("ctd", "generated")),
            _c("split", TEXT, "train or test", allowed=("train", "test")),
            _c("unseen", TEXT, "On test rows of an entity split: which of the two names stands in no training row (gene, disease or both); empty elsewhere", nullable=True, allowed=("gene", "disease", "both")),
        ),
    ),
    TableSchema(
        room="curation", name="profile", row="One figure about a dataset (Table 1 of the paper)",
        partitioned_by="dataset", unique=("dataset", "section", "name"),
        columns=(
            _DATASET,
            _c("section", TEXT, "What the figure is about: size, text_length, evidence, split, frequency, unseen, classes, most_frequent_gene, most_frequent_disease"),
            _c("name", TEXT, "Name of the figure, or the gene or disease that is counted"),
            _c("value", REAL, "The figure"),
            _c("unit", TEXT, "Its unit"),
        ),
    ),
    TableSchema(
        room="alignment", name="edges", row="One edge of the release's graph: a gene and a disease that CTD has curated with direct evidence",
        unique=("gene_symbol", "disease_name"),
        columns=(_GENE_SYMBOL, _DISEASE_NAME),
    ),
    TableSchema(
        room="alignment", name="rewirings", row="The release's graph of curated associations, its edges drawn anew so that every gene and disease keeps its degree",
        unique=("rewiring",), may_be_empty=True,
        columns=(
            _c("rewiring", INTEGER, "Number of the rewiring, from 0", minimum=0),
            _c("diseases", pa.list_(pa.int64()), "Place of each edge's disease among the release's disease names in order; the genes are those of the graph's edges in order"),
        ),
    ),
    TableSchema(
        room="models", name="base", row="One base model, resolved", partitioned_by="model", unique=("model",),
        columns=(
            _MODEL_KEY,
            _c("role", TEXT, "tuned (fine-tuned by experiments) or benchmark (only ever as it is)", allowed=("tuned", "benchmark")),
            _c("source", TEXT, "hub (a published model), folder (used where it lies), gguf (a file, unpacked into the warehouse) or tiny (built here, for running everything, not for science)", allowed=("hub", "folder", "gguf", "tiny")),
            _c("repo_id", TEXT, "Identifier on the model hub; of a folder or file, the one that it was taken in the place of. Empty otherwise", nullable=True),
            _c("revision", TEXT, "Commit that the model is held at; empty where it is not the hub's", nullable=True, in_version=False),
            _c("architecture", TEXT, "Class name of the architecture in transformers"),
            _c("parameters", INTEGER, "Number of parameters", minimum=1),
            _c("hidden_size", INTEGER, "Width of the embeddings", unit="dimensions", minimum=1),
            _c("layers", INTEGER, "Number of decoder layers", minimum=1),
            _c("vocabulary", INTEGER, "Number of tokens", unit="tokens", minimum=1),
            _c("quantisation", TEXT, "How the base weights are held when it runs", allowed=("nf4", "none")),
            _c("bytes", INTEGER, "Size of the weights on disk", unit="bytes", minimum=1),
            _c("weights_sha256", TEXT, "SHA-256 over the weight, configuration and tokenizer files"),
            _c("path", TEXT, "Folder with the model: below the warehouse for tiny models and unpacked files, where it lies for a folder, in the hub's cache otherwise", in_version=False),
            _c("named_revision", TEXT, "Commit or branch that the study file named when revision was resolved; the model stays there until somebody moves it. Empty where it names none", nullable=True, in_version=False),
            _c("origin", TEXT, "Folder or file that the weights came from; empty where they are the hub's or were built here", nullable=True, in_version=False),
            _c("files", TEXT, "JSON: size in bytes and time of change (ns) of each file of a folder that is used where it lies, to notice that it changed; empty otherwise", nullable=True, in_version=False),
        ),
    ),
    TableSchema(
        room="training", name="adapter", row="The trained LoRA adapter of a variant; for an untuned variant the row says that there is none",
        partitioned_by="variant", unique=("variant",),
        columns=(
            _VARIANT, _MODEL_KEY, _EXPERIMENT,
            _c("path", TEXT, "Adapter directory below the warehouse folder; empty where untuned", nullable=True),
            _c("sha256", TEXT, "SHA-256 of the adapter's weights and settings; empty where untuned", nullable=True),
            _c("trainable_parameters", INTEGER, "Number of LoRA parameters", minimum=0),
            _c("steps", INTEGER, "Optimiser steps", unit="steps", minimum=0),
            _c("samples", INTEGER, "Training samples seen, repeats counted", unit="samples", minimum=0),
            _c("peak_memory_bytes", INTEGER, "Most memory in use while training (of the card, or of the process on a CPU)", unit="bytes", minimum=0, in_version=False),
            _c("seconds", REAL, "Wall time of the training; where it was interrupted, the time up to the checkpoint and from there on", unit="s", minimum=0, in_version=False),
            _c("provenance", TEXT, "JSON: base model with its commit and weights, dataset and its data version, experiment settings and their hash, library versions", in_version=False),
        ),
    ),
    TableSchema(
        room="training", name="log", row="One logged step of a training", partitioned_by="variant", unique=("variant", "step"),
        columns=(
            _VARIANT,
            _c("step", INTEGER, "Optimiser step, from 1", unit="steps", minimum=1),
            _c("loss", REAL, "Mean cross-entropy since the logged step before", unit="nats per token", minimum=0),
            _c("learning_rate", REAL, "Learning rate at the step", minimum=0),
            _c("grad_norm", REAL, "Norm of the gradient before clipping; empty where float16's loss scaler skipped the step", minimum=0, nullable=True),
            _c("tokens_per_s", REAL, "Throughput since the logged step before", unit="tokens/s", minimum=0, in_version=False),
        ),
    ),
    TableSchema(
        room="inference", name="embeddings", row="The embedding of one test statement", partitioned_by="variant",
        unique=("variant", "test_set", "row_number"),
        columns=(
            _VARIANT, _MODEL_KEY, _EXPERIMENT, _TEST_SET, _ROW_NUMBER, _PAIR_ID, _LABEL,
            _c("embedding", pa.list_(pa.float32()), "Pooled last hidden state of the statement"),
        ),
    ),
    TableSchema(
        room="inference", name="answers", row="One answer of a model to one test statement", partitioned_by="variant",
        unique=("variant", "test_set", "prompt", "row_number"),
        columns=(
            _VARIANT, _MODEL_KEY, _EXPERIMENT, _TEST_SET,
            _c("prompt", TEXT, "Prompt that was asked: unseen (never trained on) or training"),
            _ROW_NUMBER, _PAIR_ID, _LABEL,
            _c("answer", TEXT, "What the model wrote: three tokens, greedily"),
            _c("predicted", LABEL, "1 where the answer holds the word true, else 0", allowed=(0, 1)),
            _c("p_true", REAL, "Probability of the answer true, given that it is true or false", minimum=0, maximum=1),
        ),
    ),
    TableSchema(
        room="inference", name="names", row="The embedding of one bare name of a gene or disease of the test statements",
        partitioned_by="variant", unique=("variant", "test_set", "kind", "name"),
        columns=(
            _VARIANT, _MODEL_KEY, _EXPERIMENT, _TEST_SET,
            _c("kind", TEXT, "What it names", allowed=("gene", "disease")),
            _c("name", TEXT, "Gene symbol or disease name, as it stands in the statements"),
            _c("embedding", pa.list_(pa.float32()), "Pooled last hidden state of the name alone"),
        ),
    ),
    TableSchema(
        room="inference", name="graph_names", row="The embedding of one bare name of a gene or disease of the release",
        partitioned_by="variant", unique=("variant", "kind", "name"),
        columns=(
            _VARIANT, _MODEL_KEY, _EXPERIMENT,
            _c("kind", TEXT, "What it names", allowed=("gene", "disease")),
            _c("name", TEXT, "Gene symbol or disease name of a curated association"),
            _c("embedding", pa.list_(pa.float32()), "Pooled last hidden state of the name alone"),
        ),
    ),
    TableSchema(
        room="inference", name="layer_alignment", row="One measure of graph alignment after one layer, with its null values",
        partitioned_by="variant", unique=("variant", "measure", "kind", "layer"), may_be_empty=True,
        columns=(
            _VARIANT, _MODEL_KEY, _EXPERIMENT, *_ALIGNED,
            _c("layer", INTEGER, "Decoder layers that the names went through; 0: their tokens' own embeddings", minimum=0),
            _c("value", REAL, "The figure"),
            _c("null_values", pa.list_(REAL), "The figure on each rewiring of the graph"),
            _c("resampled", pa.list_(REAL), "The figure over resampled names, of layer 0 alone: the input embeddings stand beside the models", nullable=True),
            _c("n", INTEGER, "Names that were compared", minimum=1),
        ),
    ),
    TableSchema(
        room="inference", name="rankings", row="The rank of one held-out true pair's answer among its candidates", partitioned_by="variant",
        unique=("variant", "test_set", "prompt", "target", "candidates", "row_number"),
        columns=(
            _VARIANT, _MODEL_KEY, _EXPERIMENT, _TEST_SET,
            _c("prompt", TEXT, "Prompt by whose p_true the candidates were ranked: the first of the study's"),
            _ROW_NUMBER, _PAIR_ID,
            _c("target", TEXT, "What was asked for, the pair's other name being shown", allowed=("disease", "gene")),
            _c("candidates", TEXT, "What the answer was ranked among: exact (all) or sampled (some, drawn uniformly), other true answers left out", allowed=("exact", "sampled")),
            _c("n_candidates", INTEGER, "Candidates, the answer among them", minimum=1),
            _c("rank", REAL, "Place of the answer, from 1, ties at their mean", minimum=1),
        ),
    ),
    _metric_table(
        "kg_separation", "Separation by cosine: of true and false statements, and of the two names of true and false pairs",
        _c("null_mean", REAL, "Mean of the figure over permutations of the labels, as many as resamples: what chance gives; this column and those behind it are of KG separation alone", nullable=True),
        _c("p_value", REAL, "Share of permutations whose absolute figure is at least as large (counts plus one), not corrected for the number of figures", minimum=0, maximum=1, nullable=True),
        _c("n_true", INTEGER, "Rows with label 1", unit="rows", minimum=1, nullable=True),
        _c("n_false", INTEGER, "Rows with label 0; chance gives a signed figure other than 0 where the two differ", unit="rows", minimum=1, nullable=True),
    ),
    _metric_table("embedding_probe", "How well a linear probe reads the label from the embeddings"),
    _metric_table("zero_shot", "How well the model answers whether a statement is true"),
    _metric_table("link_prediction", "How high the model ranks the answer to a held-out true pair with one name hidden"),
    _metric_table("cluster_quality", "How well the embeddings, and their t-SNE map, fall apart by label"),
    TableSchema(
        room="evaluation", name="cluster_map", row="One statement on the t-SNE map of a variant", partitioned_by="variant",
        unique=("variant", "test_set", "row_number"),
        columns=(
            _VARIANT, _MODEL_KEY, _EXPERIMENT, _TEST_SET, _ROW_NUMBER, _PAIR_ID, _LABEL,
            _c("x", REAL, "First coordinate of the map (no unit: only neighbourhoods mean something)"),
            _c("y", REAL, "Second coordinate of the map"),
        ),
    ),
    TableSchema(
        room="evaluation", name="graph_alignment", row="How well the geometry of a variant agrees with the graph by one measure, against its null",
        partitioned_by="variant", unique=("variant", "measure", "kind", "edges"), may_be_empty=True,
        columns=(_VARIANT, _MODEL_KEY, _EXPERIMENT, *_ALIGNED, _EDGES, *_AGAINST_NULL, *_INTERVALS),
    ),
    TableSchema(
        room="evaluation", name="medic_alignment", row="How well the geometry of a variant's disease names agrees with MEDIC's tree, against its null",
        partitioned_by="variant", unique=("variant", "measure"), may_be_empty=True,
        columns=(_VARIANT, _MODEL_KEY, _EXPERIMENT, *_ALIGNED, *_AGAINST_NULL, *_INTERVALS),
    ),
    TableSchema(
        room="evaluation", name="graph_alignment_layers", row="The same after one layer of a variant",
        partitioned_by="variant", unique=("variant", "measure", "kind", "layer"), may_be_empty=True,
        columns=(
            _VARIANT, _MODEL_KEY, _EXPERIMENT, *_ALIGNED,
            _c("layer", INTEGER, "Decoder layers that the names went through; 0: their tokens' own embeddings", minimum=0),
            *_AGAINST_NULL, *_ENDS,
            _c("n", INTEGER, "Names that were compared", minimum=1),
            _c("is_best", FLAG, "Whether no other layer lies as far above its null"),
            _c("best_p_value", REAL, "Of the best layer: its p-value, corrected for having been chosen among all", minimum=0, maximum=1, nullable=True),
        ),
    ),
    TableSchema(
        room="evaluation", name="graph_alignment_changes", row="One measure of a tuned variant beside the same model untuned, paired over entities",
        partitioned_by="variant", unique=("variant", "measure", "kind", "edges"), may_be_empty=True,
        columns=(
            _VARIANT, _MODEL_KEY, _EXPERIMENT, *_ALIGNED, _EDGES,
            _c("untuned", REAL, "Figure of the untuned model"),
            _c("tuned", REAL, "Figure of the tuned model"),
            _c("change", REAL, "Tuned minus untuned"),
            _c("change_ci_low", REAL, "Lower end of the change's 95% interval, paired over entities"),
            _c("change_ci_high", REAL, "Upper end of that interval"),
            _c("p_value", REAL, "Two-sided p-value of no change, not corrected for the number of tests", minimum=0, maximum=1),
            _c("untuned_calibrated", REAL, "Calibrated score of the untuned model", maximum=1, nullable=True),
            _c("tuned_calibrated", REAL, "Calibrated score of the tuned model", maximum=1, nullable=True),
            _c("n", INTEGER, "Names that were compared, or edges", minimum=1),
            _c("seed", INTEGER, "Seed of the draws behind the figure"),
        ),
    ),
    TableSchema(
        room="evaluation", name="graph_alignment_baselines", row="The same of a representation of the names that no language model made",
        unique=("model", "measure", "kind", "edges"), may_be_empty=True,
        columns=(
            _c("model", TEXT, "What it is: random vectors, names-lsa, or transe"),
            *_ALIGNED, _EDGES, *_AGAINST_NULL, *_INTERVALS,
        ),
    ),
    TableSchema(
        room="evaluation", name="comparisons", row="One figure of a tuned variant beside the same model untuned, on the rows that both were asked, with a paired test",
        partitioned_by="variant", unique=("variant", "test_set", "prompt", "metric"), may_be_empty=True,
        columns=(
            _VARIANT, _MODEL_KEY, _EXPERIMENT, _TEST_SET, _PROMPT,
            _c("metric", TEXT, "Name of the metric; docs/metrics.md has its formula, range and direction"),
            _c("untuned", REAL, "Figure of the untuned model on the common rows"),
            _c("tuned", REAL, "Figure of the tuned model on the common rows"),
            _c("change", REAL, "Tuned minus untuned"),
            _c("change_ci_low", REAL, "Lower end of the change's 95% paired bootstrap interval"),
            _c("change_ci_high", REAL, "Upper end of the change's 95% paired bootstrap interval"),
            _c("p_value", REAL, "Two-sided p-value of no change, not corrected for the number of tests", minimum=0, maximum=1),
            _c("test", TEXT, "Which paired test", allowed=("mcnemar-exact", "mcnemar", "paired-bootstrap")),
            _c("n", INTEGER, "Rows that both variants were asked", unit="rows", minimum=1),
            _c("seed", INTEGER, "Seed of the draws behind the figure"),
        ),
    ),
    TableSchema(
        room="evaluation", name="baselines", row="One figure of a baseline that never reads the text with a language model",
        partitioned_by="dataset", columns=(_DATASET, *_METRICS), unique=_METRICS_UNIQUE,
    ),
    TableSchema(
        room="report", name="improvements", row="One metric of a tuned model beside the same model untuned (Table 2 of the paper)", may_be_empty=True,
        columns=(
            _c("model", TEXT, "Name of the model in the study file"), _EXPERIMENT, _TEST_SET, _PROMPT,
            _c("metric", TEXT, "Name of the metric"),
            _c("untuned", REAL, "Figure of the untuned model"),
            _c("untuned_ci_low", REAL, "Lower end of its 95% interval", nullable=True),
            _c("untuned_ci_high", REAL, "Upper end of its 95% interval", nullable=True),
            _c("tuned", REAL, "Figure of the tuned model"),
            _c("tuned_ci_low", REAL, "Lower end of its 95% interval", nullable=True),
            _c("tuned_ci_high", REAL, "Upper end of its 95% interval", nullable=True),
            _c("change", REAL, "Tuned minus untuned"),
            _c("change_percent", REAL, "Change as a share of the untuned figure; only of a metric that can't be negative, where the lower end of that figure's 95% interval is known and more than half of it", unit="%", nullable=True),
            _c("change_ci_low", REAL, "Lower end of the change's 95% interval on the rows that both were asked; empty where the figure is not compared", nullable=True),
            _c("change_ci_high", REAL, "Upper end of that interval", nullable=True),
            _c("p_value", REAL, "Two-sided p-value of no change on these rows, not corrected for the number of tests", minimum=0, maximum=1, nullable=True),
            _c("test", TEXT, "Which paired test", allowed=("mcnemar-exact", "mcnemar", "paired-bootstrap"), nullable=True),
            _c("n", INTEGER, "Rows behind the tuned figure", unit="rows", minimum=1),
        ),
        unique=("model", "experiment", "test_set", "prompt", "metric"),
    ),
    TableSchema(
        room="report", name="leaderboard", row="One contestant on one test set: a model untuned or tuned, the benchmark, or a baseline",
        columns=(
            # the ends of a wide table are what DuckDB shows in a narrow terminal: who, and how well
            _c("rank", INTEGER, "Place on this test set and prompt, by AUROC (baselines take part)", minimum=1),
            _c("model", TEXT, "Name of the model or of the baseline"),
            _EXPERIMENT, _PROMPT,
            _c("test_set", TEXT, "Name of the dataset whose test split was asked"),
            _c("role", TEXT, "What takes part", allowed=("untuned", "tuned", "benchmark", "baseline")),
            _c("accuracy", REAL, "Share of right answers, to 4 decimals", minimum=0, maximum=1),
            _c("accuracy_ci_low", REAL, "Lower end of its 95% bootstrap interval", minimum=0, maximum=1),
            _c("accuracy_ci_high", REAL, "Upper end of its 95% bootstrap interval", minimum=0, maximum=1),
            _c("is_above_popularity", FLAG, "Whether AUROC minus that of the popularity baseline on the same test set lies above 0 with its whole 95% interval (the two intervals taken as independent); empty for baselines", nullable=True),
            _c("is_tiny", FLAG, "Whether this is a tiny model, for running everything and not for science"),
            _c("best_baseline", TEXT, "The baseline with the highest AUROC on the same test set; empty for baselines", nullable=True),
            _c("lift", REAL, "AUROC minus that of the best baseline, to 4 decimals; empty for baselines", nullable=True, minimum=-1, maximum=1),
            _c("lift_ci_low", REAL, "Lower end of its 95% interval, model and baseline taken as independent (usually wider than a paired one)", nullable=True),
            _c("lift_ci_high", REAL, "Upper end of its 95% interval", nullable=True),
            _c("n", INTEGER, "Test statements that were scored", unit="rows", minimum=1),
            _c("auroc", REAL, "Area under the ROC curve of p_true, to 4 decimals (all digits in evaluation.zero_shot)", minimum=0, maximum=1),
            _c("auroc_ci_low", REAL, "Lower end of its 95% bootstrap interval", minimum=0, maximum=1),
            _c("auroc_ci_high", REAL, "Upper end of its 95% bootstrap interval", minimum=0, maximum=1),
        ),
        unique=("test_set", "prompt", "model", "experiment"),
        order=("test_set", "prompt", "rank", "model", "experiment"),
    ),
    TableSchema(
        room="report", name="seeds", row="One metric over the experiments of a model that differ in their seed alone, pooled",
        unique=("model", "experiment", "test_set", "prompt", "scope", "metric"), may_be_empty=True,
        columns=(
            _c("model", TEXT, "Name of the model in the study file"),
            _c("experiment", TEXT, "Name of the group: that of its experiment with the lowest seed"),
            _c("experiments", TEXTS, "The experiments that were pooled, by seed"),
            _TEST_SET, _PROMPT, _SCOPE,
            _c("metric", TEXT, "Name of the metric; docs/metrics.md has its formula, range and direction"),
            _c("seeds", INTEGER, "Experiments behind the mean", unit="experiments", minimum=2),
            _c("mean", REAL, "Mean over the seeds"),
            _c("sd", REAL, "Standard deviation between the seeds (n - 1 in the denominator)", minimum=0),
            _c("ci_low", REAL, "Lower end of the 95% interval of the mean, over seeds and test rows; empty where a figure has no interval", nullable=True),
            _c("ci_high", REAL, "Upper end of the 95% interval of the mean", nullable=True),
            _c("n", INTEGER, "Rows behind each figure (the least, where they differ)", unit="rows", minimum=1),
        ),
    ),
    TableSchema(
        room="report", name="study", row="The report: one HTML page on the whole study (one row)",
        columns=(
            _c("path", TEXT, "The page, below the warehouse folder; report/study.html is always the newest"),
            _c("sha256", TEXT, "SHA-256 of the page's bytes, the same for the same tables"),
            _c("bytes", INTEGER, "Size of the page", unit="bytes", minimum=1),
            _c("sections", TEXTS, "Titles of its sections, in order"),
            _c("figures", INTEGER, "Figures on it", unit="figures", minimum=0),
            _c("tables", INTEGER, "Partitions of tables that it was made from; the page names each with its data version", minimum=1),
            _c("missing", TEXTS, "Variants of the study that have no answers yet, and are not on the page"),
        ),
    ),
)  # fmt: skip

TABLES: Mapping[str, TableSchema] = {schema.full_name: schema for schema in _ALL}
