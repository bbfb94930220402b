"""A variant that can be asked about any pair: its model, the prompt, and what it was trained on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.curation.identity import pair_ids, statements
from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.errors import StudyError
from bioalign_assets.inference.embeddings import embed
from bioalign_assets.inference.scoring import p_true
from bioalign_assets.lookup.vocabulary import Vocabulary, vocabulary_of
from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.models.threads import reproducible_threads
from bioalign_assets.study import Study, Variant
from bioalign_assets.training.adapters import load_variant
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

__all__ = ["AskedVariant", "asked_variant"]


@dataclass(frozen=True, kw_only=True, eq=False)
class AskedVariant:
    """A variant's model in memory, and what is needed to ask it."""

    variant: Variant
    study: Study
    tables: Tables
    loaded: LoadedModel
    prompt: str
    """Name of the prompt that is asked"""
    vocabulary: Vocabulary
    trained_labels: dict[str, int]
    """Label of each pair that the variant was trained on, by pair_id"""

    @property
    def is_tiny(self) -> bool:
        """Whether this is a tiny model, for running everything and not for science."""
        return self.study.models[self.variant.model].tiny is not None

    def p_true(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float64]:
        """Return the probability that the variant gives each statement, shape (n,), 0 to 1.

        :param pairs: gene symbol and disease name
        """
        spec = self.study.models[self.variant.model]
        return p_true(
            _texts(pairs),
            prompt=PROMPTS[self.prompt],
            loaded=self.loaded,
            batch_size=spec.batch_size,
            # the training prompt is asked as it was trained on: never inside a chat template
            is_chat=spec.prompt == "chat" and self.prompt != "training",
            what=f"asking {self.variant.key}",
        )

    def embed(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        """Return the embedding of each statement as ``inference.embeddings`` has them, shape (n, hidden size)."""
        return embed(
            _texts(pairs),
            loaded=self.loaded,
            batch_size=self.study.models[self.variant.model].batch_size,
            pooling=self.study.evaluation.pooling,
        )

    def known_embeddings(self) -> pa.Table:
        """Return the embeddings of curated pairs that are stored: those of the variant's test sets.

        :returns: pair_id, gene_symbol, disease_name, embedding; each pair once, in no special order; no rows where
            inference.embeddings has not been materialised for the variant
        """
        rows = self.tables.read(TABLES["inference.embeddings"], partitions=[self.variant.key])
        rows = rows.filter(pc.equal(rows["label"], 1)).select(
            ["pair_id", "test_set", "row_number", "embedding"]
        )
        test_sets = pc.unique(rows["test_set"]).to_pylist()
        names = self.tables.read(TABLES["curation.pairs"], partitions=test_sets)
        # by pair too: a dataset that was made anew since then has other pairs in these rows
        names = names.select(["dataset", "row_number", "pair_id", "gene_symbol", "disease_name"])
        # a join can't carry lists, so it finds places
        places = rows.select(["test_set", "row_number", "pair_id"]).append_column("place", _range(rows))
        found = places.join(
            names,
            keys=["test_set", "row_number", "pair_id"],
            right_keys=["dataset", "row_number", "pair_id"],
            join_type="inner",
        )
        found = found.group_by("pair_id", use_threads=False).aggregate(
            [("place", "min"), ("gene_symbol", "min"), ("disease_name", "min")]
        )
        return pa.table(
            {
                "pair_id": found["pair_id"],
                "gene_symbol": found["gene_symbol_min"],
                "disease_name": found["disease_name_min"],
                "embedding": rows["embedding"].take(found["place_min"]),
            }
        )


@contextmanager
def asked_variant(
    key: str, *, study: Study, tables: Tables, prompt: str | None = None
) -> Iterator[AskedVariant]:
    """Load a variant to ask it, and keep its threads as inference does while it is asked.

    :param key: ``<model>@<experiment>``
    :param prompt: ``unseen`` or ``training``; the study's first prompt by default
    :raises StudyError: if the study has no such variant, or there is no such prompt
    :raises BioAlignError: if the release, the model or the adapter was not materialised or does not fit
    """
    variant = study.variant(key)
    asked = study.evaluation.prompts[0] if prompt is None else prompt
    if asked not in PROMPTS:
        raise StudyError(
            f"Prompt {asked}", found="no such prompt", expected=f"one of {', '.join(PROMPTS)}",
            remedy="Name one of these.",
        )  # fmt: skip
    vocabulary = vocabulary_of(tables.read(TABLES["ctd.associations"]))
    trained_on = study.training_dataset(variant)
    pairs = tables.read(TABLES["curation.pairs"], partitions=[trained_on] if trained_on else [])
    with reproducible_threads(study.models[variant.model]):
        loaded = load_variant(
            variant,
            study=study,
            base=tables.read(TABLES["models.base"], partitions=[variant.model]),
            pairs=pairs,
            adapter=tables.read(TABLES["training.adapter"], partitions=[variant.key]),
            warehouse=tables.root,
        )
        train = pairs.filter(pc.equal(pairs["split"], "train"))
        yield AskedVariant(
            variant=variant,
            study=study,
            tables=tables,
            loaded=loaded,
            prompt=asked,
            vocabulary=vocabulary,
            trained_labels=dict(zip(train["pair_id"].to_pylist(), train["label"].to_pylist(), strict=True)),
        )


def trained_label(asked: AskedVariant, *, gene: str, disease: str) -> int | None:
    """Return the label that a pair was trained with, None where it was not."""
    (pair_id,) = pair_ids([gene], [disease])
    return asked.trained_labels.get(pair_id)


def _texts(pairs: Sequence[tuple[str, str]]) -> list[str]:
    genes, diseases = (pa.array([pair[place] for pair in pairs], pa.string()) for place in (0, 1))
    texts: list[Any] = statements(genes, diseases).to_pylist()
    return texts


def _range(rows: pa.Table) -> pa.Array:
    return pa.array(np.arange(len(rows)))
