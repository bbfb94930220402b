"""The tables that compare: tuned against untuned (the paper's Table 2), and all contestants in a ranking.

Both are computed by DuckDB from the evaluation tables, over a connection in which these stand as
``evaluation.<table>``. Only figures on the evaluation sample take part: on it, models and baselines were
asked the same rows.
"""

from collections.abc import Collection, Mapping
from typing import Any, Literal

import duckdb
import pyarrow as pa

from bioalign_assets.errors import StudyError, WarehouseError
from bioalign_assets.evaluation.metrics import METRICS
from bioalign_assets.study import UNTUNED
from bioalign_assets.warehouse.schemas import TABLES

__all__ = [
    "METRIC_TABLES",
    "Role",
    "improvements",
    "leaderboard",
    "stored_alignment_changes",
    "stored_figures",
]

Role = Literal["tuned", "benchmark"]

METRIC_TABLES: tuple[str, ...] = tuple(
    name
    for name, schema in TABLES.items()
    if schema.room == "evaluation"
    and schema.partitioned_by == "variant"
    and {"metric", "scope"} <= set(schema.by_name)
)
"""The tables that hold figures of variants."""

_IMPROVEMENTS = f"""
WITH figures AS (
    {
    " UNION ALL BY NAME ".join(
        f"SELECT * FROM {name} WHERE scope = 'sample' "
        "AND coalesce(list_contains($variants::VARCHAR[], variant), true)"
        for name in METRIC_TABLES
    )
}
),
-- statements that each was asked, and those that both were
asked AS (
    SELECT model, experiment, test_set, max(n) AS n FROM figures WHERE metric = 'kg_separation_signed' GROUP BY ALL
),
shared AS (
    SELECT model, experiment, test_set, max(n) AS n
    FROM evaluation.comparisons WHERE metric = 'kg_separation_signed' GROUP BY ALL
),
beside AS (
    SELECT
        tuned.model, tuned.experiment, tuned.test_set, tuned.prompt, tuned.metric, tuned.n,
        base.value AS untuned, base.ci_low AS untuned_ci_low, base.ci_high AS untuned_ci_high,
        tuned.value AS tuned, tuned.ci_low AS tuned_ci_low, tuned.ci_high AS tuned_ci_high,
        -- not known where nothing was compared: then they are as they were asked
        coalesce(shared.n = asked_base.n AND shared.n = asked_tuned.n, true) AS is_same_rows
    FROM figures AS tuned
    JOIN figures AS base
        ON base.model = tuned.model AND base.test_set = tuned.test_set AND base.metric = tuned.metric
        AND base.prompt IS NOT DISTINCT FROM tuned.prompt AND base.experiment = $untuned
    LEFT JOIN asked AS asked_base
        ON asked_base.model = base.model AND asked_base.experiment = base.experiment
        AND asked_base.test_set = base.test_set
    LEFT JOIN asked AS asked_tuned
        ON asked_tuned.model = tuned.model AND asked_tuned.experiment = tuned.experiment
        AND asked_tuned.test_set = tuned.test_set
    LEFT JOIN shared
        ON shared.model = tuned.model AND shared.experiment = tuned.experiment
        AND shared.test_set = tuned.test_set
    WHERE tuned.experiment <> $untuned
),
-- figures of different rows must not be taken from each other: those of the rows in common, or none
changes AS (
    SELECT
        beside.model, beside.experiment, beside.test_set, beside.prompt, beside.metric,
        CASE WHEN is_same_rows THEN beside.untuned ELSE paired.untuned END AS untuned,
        CASE WHEN is_same_rows THEN untuned_ci_low END AS untuned_ci_low,
        CASE WHEN is_same_rows THEN untuned_ci_high END AS untuned_ci_high,
        CASE WHEN is_same_rows THEN beside.tuned ELSE paired.tuned END AS tuned,
        CASE WHEN is_same_rows THEN tuned_ci_low END AS tuned_ci_low,
        CASE WHEN is_same_rows THEN tuned_ci_high END AS tuned_ci_high,
        paired.change_ci_low, paired.change_ci_high, paired.p_value, paired.test,
        CASE WHEN is_same_rows THEN beside.n ELSE paired.n END AS n
    FROM beside
    LEFT JOIN evaluation.comparisons AS paired
        ON paired.model = beside.model AND paired.experiment = beside.experiment
        AND paired.test_set = beside.test_set AND paired.metric = beside.metric
        AND paired.prompt IS NOT DISTINCT FROM beside.prompt
    WHERE is_same_rows OR paired.model IS NOT NULL
)
SELECT
    model, experiment, test_set, prompt, metric, untuned, untuned_ci_low, untuned_ci_high, tuned, tuned_ci_low,
    tuned_ci_high, tuned - untuned AS change,
    -- of a figure near 0 noise would become thousands of percent; where 0 lies amid a range nothing is a share of it
    CASE WHEN metric IN (SELECT unnest($never_negative::VARCHAR[])) AND untuned_ci_low > untuned / 2
        THEN 100 * (tuned - untuned) / untuned END AS change_percent,
    change_ci_low, change_ci_high, p_value, test, n
FROM changes
ORDER BY model, experiment, test_set, prompt NULLS FIRST, metric
"""  # noqa: S608 - the names are this module's own

_LEADERBOARD = """
WITH roles AS (
    SELECT unnest($models::VARCHAR[]) AS model, unnest($roles::VARCHAR[]) AS role
),
figures AS (
    SELECT model, experiment, test_set, prompt, metric, value, ci_low, ci_high, n
    FROM evaluation.zero_shot WHERE scope = 'sample' AND coalesce(list_contains($variants::VARCHAR[], variant), true)
    UNION ALL BY NAME
    SELECT model, experiment, test_set, prompt, metric, value, ci_low, ci_high, n
    FROM evaluation.baselines WHERE scope = 'sample' AND coalesce(list_contains($datasets::VARCHAR[], dataset), true)
),
contestants AS (
    SELECT
        model, experiment, test_set, prompt,
        any_value(value) FILTER (metric = 'auroc') AS auroc,
        any_value(ci_low) FILTER (metric = 'auroc') AS auroc_ci_low,
        any_value(ci_high) FILTER (metric = 'auroc') AS auroc_ci_high,
        any_value(value) FILTER (metric = 'accuracy') AS accuracy,
        any_value(ci_low) FILTER (metric = 'accuracy') AS accuracy_ci_low,
        any_value(ci_high) FILTER (metric = 'accuracy') AS accuracy_ci_high,
        any_value(n) FILTER (metric = 'auroc') AS n
    FROM figures
    GROUP BY ALL
),
asked AS (
    SELECT DISTINCT test_set, prompt FROM contestants WHERE experiment <> 'baseline'
),
-- a baseline reads no prompt: it takes part in the ranking of each, or in one of its own where none was asked
placed AS (
    SELECT * FROM contestants WHERE experiment <> 'baseline'
    UNION ALL BY NAME
    SELECT baseline.* REPLACE (asked.prompt AS prompt)
    FROM contestants AS baseline LEFT JOIN asked USING (test_set)
    WHERE baseline.experiment = 'baseline'
),
popular AS (
    SELECT test_set, auroc, auroc_ci_high - auroc AS up
    FROM contestants WHERE experiment = 'baseline' AND model = 'popularity'
),
best AS (
    SELECT test_set, model, auroc, auroc_ci_high - auroc AS up, auroc - auroc_ci_low AS down
    FROM contestants WHERE experiment = 'baseline'
    QUALIFY row_number() OVER (PARTITION BY test_set ORDER BY auroc DESC, model) = 1
)
SELECT
    rank() OVER (PARTITION BY placed.test_set, placed.prompt ORDER BY placed.auroc DESC) AS rank,
    placed.model, placed.experiment, placed.prompt, placed.test_set,
    CASE
        WHEN placed.experiment = 'baseline' THEN 'baseline'
        WHEN roles.role = 'benchmark' THEN 'benchmark'
        WHEN placed.experiment = $untuned THEN 'untuned'
        ELSE 'tuned'
    END AS role,
    round(placed.accuracy, 4) AS accuracy,
    round(placed.accuracy_ci_low, 4) AS accuracy_ci_low,
    round(placed.accuracy_ci_high, 4) AS accuracy_ci_high,
    CASE
        WHEN placed.experiment <> 'baseline'
        THEN placed.auroc - popular.auroc > sqrt((placed.auroc - placed.auroc_ci_low) ** 2 + popular.up ** 2)
    END AS is_above_popularity,
    placed.experiment <> 'baseline' AND list_contains($tiny::VARCHAR[], placed.model) AS is_tiny,
    best.model AS best_baseline,
    round(placed.auroc - best.auroc, 4) AS lift,
    -- the two intervals taken as independent: half-widths to the same side add up as squares
    round(placed.auroc - best.auroc - sqrt((placed.auroc - placed.auroc_ci_low) ** 2 + best.up ** 2), 4)
        AS lift_ci_low,
    round(placed.auroc - best.auroc + sqrt((placed.auroc_ci_high - placed.auroc) ** 2 + best.down ** 2), 4)
        AS lift_ci_high,
    placed.n,
    round(placed.auroc, 4) AS auroc,
    round(placed.auroc_ci_low, 4) AS auroc_ci_low,
    round(placed.auroc_ci_high, 4) AS auroc_ci_high
FROM placed
LEFT JOIN roles ON roles.model = placed.model AND placed.experiment <> 'baseline'
LEFT JOIN popular ON popular.test_set = placed.test_set
LEFT JOIN best ON best.test_set = placed.test_set AND placed.experiment <> 'baseline'
ORDER BY placed.test_set, placed.prompt NULLS FIRST, rank, placed.model, placed.experiment
"""


def improvements(
    connection: duckdb.DuckDBPyConnection, *, variants: Collection[str] | None = None
) -> pa.Table:
    """Return every metric of every tuned variant beside the same model untuned, test set and prompt alike.

    A tuned figure whose untuned counterpart is not there (yet) has no row. Where the two were not asked the same rows
    (a tuned model is asked about none that it was trained on) the figures are those of the rows in common, from
    ``evaluation.comparisons``, without intervals of their own; what was not compared there has no row.

    :param connection: with the metric tables of the variants and comparisons in ``evaluation``
    :param variants: those of the study; what else the warehouse still has takes no part (None: all do)
    :returns: schema ``report.improvements``, by model, experiment, test set, prompt and metric;
        change_percent is there only of a metric that can't be negative, where the lower end of the untuned figure's
        interval is known and more than half of the figure; interval and test of the change where it was compared
    :raises WarehouseError: if one of these tables is missing
    """
    parameters = {
        "untuned": UNTUNED,
        "variants": None if variants is None else list(variants),
        "never_negative": [name for name, metric in METRICS.items() if metric.range[0] >= 0],
    }
    return _query(connection, _IMPROVEMENTS, table="report.improvements", parameters=parameters)


def leaderboard(
    connection: duckdb.DuckDBPyConnection,
    *,
    roles: Mapping[str, Role],
    tiny: Collection[str],
    variants: Collection[str] | None = None,
    datasets: Collection[str] | None = None,
) -> pa.Table:
    """Return the ranking by AUROC of every test set and prompt.

    Each (test set, prompt) is one whole ranking: a baseline reads no prompt and stands in all rankings of its
    test set; where no model has answered yet there is one ranking of baselines, with prompt null. Equal
    AUROC, equal rank. ``is_above_popularity``: whether the lift over popularity lies above 0 with its whole interval,
    made as below; null for baselines, and for models while popularity has no figure on the test set. Nothing is
    corrected for how many contestants there are.

    ``lift`` is a model's AUROC minus that of the best baseline on the same test set (null for baselines). The
    scores that baselines give to single rows are not kept, so the interval of the lift takes the two bootstrap
    intervals as independent: lift - sqrt(below_model^2 + above_baseline^2) to lift + sqrt(above_model^2 +
    below_baseline^2), each the distance from a figure to that end of its interval. Where both were scored on the same
    rows and err alike, a paired interval would be narrower. (A model that was trained on another dataset is asked
    about the rows among these that it was not trained on.)

    :param connection: with zero_shot and baselines in ``evaluation``
    :param roles: role of every model of the study
    :param tiny: names of the models that are for running everything, not for science
    :param variants: those of the study; what else the warehouse still has takes no part (None: all do)
    :param datasets: those of the study
    :returns: schema ``report.leaderboard``, by test set, prompt and rank
    :raises WarehouseError: if a table is missing, or a contestant lacks AUROC or accuracy
    :raises StudyError: if a model that was scored has no role
    """
    board = _query(
        connection,
        _LEADERBOARD,
        table="report.leaderboard",
        parameters={
            "models": list(roles),
            "roles": list(roles.values()),
            "tiny": sorted(tiny),
            "variants": None if variants is None else list(variants),
            "datasets": None if datasets is None else list(datasets),
            "untuned": UNTUNED,
        },
    )
    scored = {
        row["model"] for row in board.select(["model", "role"]).to_pylist() if row["role"] != "baseline"
    }
    nameless = sorted(scored - set(roles))
    if nameless:
        raise StudyError(
            "models of the leaderboard",
            found=f"{', '.join(nameless)} in evaluation.zero_shot",
            expected=f"models of the study ({', '.join(sorted(roles))})",
            remedy="Name the model in the study file, or take its rows out of the warehouse.",
        )
    return board


def stored_figures(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return the rows of all ``METRIC_TABLES``, with the columns that they share."""
    columns = "model, experiment, test_set, prompt, scope, metric, value, ci_low, ci_high, n"
    union = " UNION ALL ".join(f"SELECT {columns} FROM {name}" for name in METRIC_TABLES)  # noqa: S608
    return connection.sql(union).to_arrow_table()


def stored_alignment_changes(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return the changes of graph alignment, with the columns of ``stored_figures``.

    The graph stands in the place of the test set, and kind and measure make the metric: ``disease_rsa_change``.
    """
    return connection.sql(
        "SELECT model, experiment, 'graph, ' || edges || ' edges' AS test_set, CAST(NULL AS VARCHAR) AS prompt, "
        "'sample' AS scope, kind || '_' || replace(measure, 'edge_', '') || '_change' AS metric, "
        "change AS value, change_ci_low AS ci_low, change_ci_high AS ci_high, n "
        "FROM evaluation.graph_alignment_changes"
    ).to_arrow_table()


def _query(
    connection: duckdb.DuckDBPyConnection, sql: str, *, table: str, parameters: dict[str, Any]
) -> pa.Table:
    schema = TABLES[table].arrow
    try:
        found = connection.sql(sql, params=parameters).to_arrow_table()
    except duckdb.CatalogException as error:
        raise WarehouseError(
            table,
            found=str(error).splitlines()[0],
            expected="the evaluation tables in the connection",
            remedy="Open the warehouse's catalogue, bioalign.duckdb.",
        ) from error
    required = [field.name for field in schema if not field.nullable]
    incomplete = [name for name in required if found[name].null_count]
    if incomplete:
        raise WarehouseError(
            table,
            found=f"no {', '.join(incomplete)} for some contestants",
            expected="every evaluation to bring all its figures",
            remedy="Materialise evaluation.zero_shot and evaluation.baselines again.",
        )
    return found.select(schema.names).cast(schema)
