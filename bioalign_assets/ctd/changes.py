"""What changed between two releases: associations added, removed, or curated anew.

An association is known by its gene and disease identifiers, so a new spelling is a change and not a removal
and an addition. Its place in the file means nothing, nor does the order within a list of identifiers.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["changes"]

_KEYS = ["gene_id", "disease_id"]
_NAMES = ["gene_symbol", "disease_name"]
_LISTS = ["direct_evidence", "omim_ids", "pubmed_ids"]
_NOTHING = "(none)"


def changes(before: pa.Table, after: pa.Table) -> pa.Table:
    """Return what differs between two releases.

    An association that a release lists twice counts once, with the identifiers of both rows. Names are those
    of the later release in which the association stands.

    :param before: schema ``ctd.associations``
    :param after: schema ``ctd.associations``
    :return: schema ``ctd.changes``, sorted by change, gene symbol and disease name; no rows where nothing
        differs
    """
    both = _by_key(before).merge(
        _by_key(after), on=_KEYS, how="outer", suffixes=("_before", "_after"), indicator="where"
    )
    lost = both[both["where"] == "left_only"]
    found = both[both["where"] == "right_only"]
    kept = both[both["where"] == "both"]
    rows = [
        _rows(found, change="added", side="after", detail=None),
        _rows(lost, change="removed", side="before", detail=None),
        _changed(kept),
    ]
    table = pd.concat([part for part in rows if len(part)] or rows[:1], ignore_index=True)
    table = table.sort_values(["change", *_NAMES, *_KEYS], ignore_index=True)
    return pa.Table.from_pandas(
        table, schema=TABLES["ctd.changes"].arrow, preserve_index=False
    ).replace_schema_metadata()


def _by_key(associations: pa.Table) -> pd.DataFrame:
    """Return one row per association, its lists as text joined by ``|``."""
    columns = {name: associations[name] for name in (*_KEYS, *_NAMES)}
    joined = {name: pc.binary_join(associations[name], "|") for name in _LISTS}
    frame = pa.table({**columns, **joined}).to_pandas()
    if frame.duplicated(_KEYS).any():
        kinds = dict.fromkeys(_NAMES, "first") | dict.fromkeys(_LISTS, "|".join)
        frame = frame.groupby(_KEYS, as_index=False, sort=False).agg(kinds)
    return frame


def _rows(frame: pd.DataFrame, *, change: str, side: str, detail: pd.Series | None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "change": change,
            "gene_symbol": frame[f"gene_symbol_{side}"],
            "gene_id": frame["gene_id"],
            "disease_name": frame[f"disease_name_{side}"],
            "disease_id": frame["disease_id"],
            "detail": detail,
        }
    )


def _changed(kept: pd.DataFrame) -> pd.DataFrame:
    """Return the associations of both releases that differ, with what differs in words."""
    columns = [*_NAMES, *_LISTS]
    # only rows whose text differs, few in a real release, are worth splitting into sets
    differs = [kept[f"{name}_before"] != kept[f"{name}_after"] for name in columns]
    kept = kept[np.logical_or.reduce(differs)]
    told = [
        _differences(name, old=kept[f"{name}_before"].tolist(), new=kept[f"{name}_after"].tolist())
        for name in columns
    ]
    details = ["; ".join(filter(None, parts)) for parts in zip(*told, strict=True)]
    detail = pd.Series(details, index=kept.index, dtype=object)
    is_real = detail != ""
    return _rows(kept[is_real], change="changed", side="after", detail=detail[is_real])


def _differences(name: str, *, old: list[str], new: list[str]) -> list[str]:
    """Return for each row ``name: value before -> value now``, or an empty text where both are the same."""
    if name in _LISTS:
        old, new = list(map(_as_set, old)), list(map(_as_set, new))
    return [f"{name}: {was} -> {now}" if was != now else "" for was, now in zip(old, new, strict=True)]


def _as_set(joined: str) -> str:
    """Return a list's different parts in one order: numbers by size."""
    parts = set(joined.split("|")) - {""}
    return "|".join(sorted(parts, key=lambda part: (len(part), part))) or _NOTHING
