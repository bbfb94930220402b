"""The bare names of a release's graph: their vectors, and how far these agree with the graph after every layer."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioalign_assets.alignment.graph import Graph, Kind
from bioalign_assets.alignment.layers import layer_figures
from bioalign_assets.alignment.rewiring import rewirings_from_table
from bioalign_assets.alignment.targets import whole_target
from bioalign_assets.errors import EvaluationError
from bioalign_assets.inference.embeddings import Vectors, embed_layers
from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.models.threads import one_thread
from bioalign_assets.study import Study, Variant
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["names_of_graph"]

Flags = npt.NDArray[np.bool_]


def names_of_graph(
    variant: Variant, *, graph: Graph, rewirings: pa.Table | None, loaded: LoadedModel, study: Study
) -> dict[str, pa.Table]:
    """Return the rows of ``inference.graph_names``, and of ``inference.layer_alignment`` where there are rewirings.

    :raises ModelError, EvaluationError: if vectors are not finite, or after a layer all the same
    """
    target, cores = None, (np.empty(0, np.int64), np.empty(0, np.int64))
    if rewirings is not None:
        with one_thread():
            target = whole_target(rewirings_from_table(rewirings, graph=graph), seed=study.evaluation.seed)
        core_of = {each.kind: each.core for each in target.comparisons}
        cores = (core_of["gene"].astype(np.int64), core_of["disease"].astype(np.int64))
    kept = np.concatenate([cores[0], cores[1] + len(graph.genes)])
    names = [*graph.genes.to_pylist(), *graph.diseases.to_pylist()]
    said = np.array([len(ids) > 0 for ids in loaded.tokenizer(names)["input_ids"]])
    last, layers = embed_layers(
        [name for name, is_said in zip(names, said, strict=True) if is_said],
        kept=(np.cumsum(said) - 1)[kept[said[kept]]],
        loaded=loaded,
        batch_size=study.models[variant.model].batch_size,
        pooling=study.evaluation.pooling,
    )
    of_gene = np.arange(len(names)) < len(graph.genes)
    last = _with_silent(last[None], said=said, of_gene=of_gene)[0]
    layers = _with_silent(layers, said=said[kept], of_gene=of_gene[kept])
    schema = TABLES["inference.graph_names"].arrow
    columns = {name: [value] * len(names) for name, value in variant.columns.items()} | {
        "kind": ["gene"] * len(graph.genes) + ["disease"] * len(graph.diseases),
        "name": names,
        "embedding": pa.array(list(last), type=pa.list_(pa.float32())),
    }
    made = {"inference.graph_names": pa.table({name: columns[name] for name in schema.names}, schema=schema)}
    if target is not None:
        vectors: dict[Kind, Any] = {"gene": layers[:, : len(cores[0])], "disease": layers[:, len(cores[0]) :]}
        with one_thread():
            found = list(
                layer_figures(
                    vectors, target=target, resamples=study.evaluation.resamples, seed=study.evaluation.seed
                )
            )
        rows = [
            {
                **variant.columns, "layer": each.layer, "kind": each.kind, "measure": each.measure,
                "value": each.agreement.value, "null_values": each.agreement.null.tolist(),
                "resampled": None if each.resampled is None else each.resampled.tolist(), "n": each.names,
            }
            for each in found
        ]  # fmt: skip
        made["inference.layer_alignment"] = pa.Table.from_pylist(
            rows, schema=TABLES["inference.layer_alignment"].arrow
        )
    return made


def _with_silent(vectors: Vectors, *, said: Flags, of_gene: Flags) -> Vectors:
    """Return vectors with those of names that the tokenizer turns into nothing: they stand at the mean of their kind.

    :param vectors: of the names that have tokens; shape (layers, names with tokens, width)
    :param said: which names have tokens; shape (names,)
    :param of_gene: which are genes; shape (names,)
    :return: shape (layers, names, width)
    :raises EvaluationError: if no name of a kind has a token
    """
    if said.all():
        return vectors
    found = np.empty((len(vectors), len(said), vectors.shape[2]), dtype=np.float32)
    found[:, said] = vectors
    for kind, of_kind in (("gene", of_gene), ("disease", ~of_gene)):
        silent = of_kind & ~said
        if silent.any() and not (of_kind & said).any():
            raise EvaluationError(
                f"names of the {kind}s", found="none that the model's tokenizer makes a token of",
                expected="names that a model can read", remedy="Take a tokenizer that knows their letters.",
            )  # fmt: skip
        if silent.any():
            found[:, silent] = found[:, of_kind & said].mean(axis=1, keepdims=True)
    return found
