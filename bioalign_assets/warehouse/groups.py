"""A table in parts: the rows of each combination of keys."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["grouped"]


def grouped(rows: pa.Table, *, by: Sequence[str]) -> Iterator[tuple[dict[str, Any], pa.Table]]:
    """Give each combination of keys and its rows: keys in ascending order, rows in the order they stand in.

    :param by: columns without empty values
    """
    keys = rows.select(by).group_by(list(by)).aggregate([]).sort_by([(name, "ascending") for name in by])
    for key in keys.to_pylist():
        chosen = np.ones(len(rows), dtype=bool)
        for name, value in key.items():
            chosen &= pc.equal(rows[name], value).to_numpy()
        yield key, rows.filter(pa.array(chosen))
