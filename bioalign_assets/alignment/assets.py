"""Dagster assets of the alignment room: the release's graph, and what it would be by chance."""

import dagster as dg
import numpy as np
import pyarrow as pa

from bioalign_assets.alignment.graph import edges_table, graph_of, graph_of_edges
from bioalign_assets.alignment.rewiring import rewire, rewirings_table
from bioalign_assets.errors import EvaluationError
from bioalign_assets.study import Study
from bioalign_assets.table_assets import asset_arguments, materialized, settings_dep
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["REWIRINGS", "build_assets"]

REWIRINGS = 200
"""Behind every null: a p-value can't be under 1/201"""


def build_assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the assets of this room."""

    @dg.asset(
        **asset_arguments(
            "alignment.edges",
            kinds={"python"},
            description=(
                "The graph of the release: each gene and disease that are curated as associated, once. What a release "
                "changes beside them, as its articles, makes nothing of the alignment stale."
            ),
        ),
        ins={"associations": dg.AssetIn(key=dg.AssetKey(["ctd", "associations"]))},
        code_version="1",
    )
    def edges(associations: pa.Table, warehouse: Warehouse) -> dg.MaterializeResult[pa.Table]:
        graph = graph_of(associations)
        return materialized(
            edges_table(graph),
            full_name="alignment.edges",
            warehouse=warehouse,
            metadata={"genes": len(graph.genes), "diseases": len(graph.diseases)},
        )

    @dg.asset(
        **asset_arguments(
            "alignment.rewirings",
            kinds={"python"},
            description=(
                f"The graph of the release's curated associations, {REWIRINGS} times with other edges in which every "
                "gene and disease keeps its number of partners: what every figure of graph alignment is held against."
            ),
        ),
        ins={"edges": dg.AssetIn(key=dg.AssetKey(["alignment", "edges"]))},
        deps=[settings_dep("evaluation")],
        code_version="1",
    )
    def rewirings(
        context: dg.AssetExecutionContext, edges: pa.Table, warehouse: Warehouse
    ) -> dg.MaterializeResult[pa.Table]:
        graph = graph_of_edges(edges)
        try:
            made = rewire(graph, count=REWIRINGS, rng=np.random.default_rng(study.evaluation.seed))
        except EvaluationError as error:
            # too small or too dense: the rest of the study goes on without alignment
            context.log.warning(f"There is no null for graph alignment, so none is measured. {error}")
            empty = TABLES["alignment.rewirings"].arrow.empty_table()
            return materialized(
                empty, full_name="alignment.rewirings", warehouse=warehouse, metadata={"remark": str(error)}
            )
        return materialized(
            rewirings_table(made),
            full_name="alignment.rewirings",
            warehouse=warehouse,
            metadata={
                "genes": len(graph.genes),
                "diseases": len(graph.diseases),
                "edges": len(graph.gene),
                "edges_left_in_the_mean": made.share_left(),
            },
        )

    return [edges, rewirings]
