"""Dagster asset of the alignment room: what the release's graph would be by chance."""

import dagster as dg
import numpy as np
import pyarrow as pa

from bioalign_assets.alignment.graph import graph_of
from bioalign_assets.alignment.rewiring import rewire, rewirings_table
from bioalign_assets.study import Study
from bioalign_assets.table_assets import asset_arguments, materialized, settings_dep
from bioalign_assets.warehouse.resources import Warehouse

__all__ = ["REWIRINGS", "build_assets"]

REWIRINGS = 200
"""Behind every null: a p-value can't be under 1/201"""


def build_assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the assets of this room."""

    @dg.asset(
        **asset_arguments(
            "alignment.rewirings",
            kinds={"python"},
            description=(
                f"The graph of the release's curated associations, {REWIRINGS} times with other edges in which every "
                "gene and disease keeps its number of partners: what every figure of graph alignment is held against."
            ),
        ),
        ins={"associations": dg.AssetIn(key=dg.AssetKey(["ctd", "associations"]))},
        deps=[settings_dep("evaluation")],
        code_version="1",
    )
    def rewirings(associations: pa.Table, warehouse: Warehouse) -> dg.MaterializeResult[pa.Table]:
        graph = graph_of(associations)
        made = rewire(graph, count=REWIRINGS, rng=np.random.default_rng(study.evaluation.seed))
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

    return [rewirings]
