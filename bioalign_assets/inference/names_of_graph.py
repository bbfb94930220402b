"""The bare names of a release's graph: their vectors, and how far these agree with the graph after every layer."""

from typing import Any

import numpy as np
import pyarrow as pa

from bioalign_assets.alignment.graph import Graph, Kind
from bioalign_assets.alignment.layers import layer_figures
from bioalign_assets.alignment.measures import target_of
from bioalign_assets.alignment.rewiring import rewirings_from_table
from bioalign_assets.inference.embeddings import embed_layers
from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.study import Study, Variant
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["names_of_graph"]


def names_of_graph(
    variant: Variant, *, graph: Graph, rewirings: pa.Table | None, loaded: LoadedModel, study: Study
) -> dict[str, pa.Table]:
    """Return the rows of ``inference.graph_names``, and of ``inference.layer_alignment`` where there are rewirings.

    :raises ModelError, EvaluationError: if vectors are not finite, or after a layer all the same
    """
    target, cores = None, (np.empty(0, np.int64), np.empty(0, np.int64))
    if rewirings is not None:
        seed = study.evaluation.seed
        target = target_of(
            rewirings_from_table(rewirings, graph=graph), rng=np.random.default_rng(seed), seed=seed
        )
        core_of = {each.kind: each.core for each in target.comparisons}
        cores = (core_of["gene"].astype(np.int64), core_of["disease"].astype(np.int64))
    kept = np.concatenate([cores[0], cores[1] + len(graph.genes)])
    names = [*graph.genes.to_pylist(), *graph.diseases.to_pylist()]
    last, layers = embed_layers(
        names,
        kept=kept,
        loaded=loaded,
        batch_size=study.models[variant.model].batch_size,
        pooling=study.evaluation.pooling,
    )
    same = {"variant": variant.key, "model": variant.model, "experiment": variant.experiment}
    schema = TABLES["inference.graph_names"].arrow
    columns = {name: [value] * len(names) for name, value in same.items()} | {
        "kind": ["gene"] * len(graph.genes) + ["disease"] * len(graph.diseases),
        "name": names,
        "embedding": pa.array(list(last), type=pa.list_(pa.float32())),
    }
    made = {"inference.graph_names": pa.table({name: columns[name] for name in schema.names}, schema=schema)}
    if target is not None:
        vectors: dict[Kind, Any] = {"gene": layers[:, : len(cores[0])], "disease": layers[:, len(cores[0]) :]}
        rows = [
            {**same, "layer": layer, "kind": kind, "measure": measure, "value": found.value,
             "null_values": found.null.tolist()}
            for layer, kind, measure, found in layer_figures(vectors, target=target)
        ]  # fmt: skip
        made["inference.layer_alignment"] = pa.Table.from_pylist(
            rows, schema=TABLES["inference.layer_alignment"].arrow
        )
    return made
