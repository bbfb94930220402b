"""Small graphs, and vectors of their names."""

import numpy as np
import pyarrow as pa

from bioalign_assets.alignment.graph import Graph, graph_of_pairs


def random_graph(seed: int = 0, *, genes: int = 40, diseases: int = 25, edges: int = 160) -> Graph:
    """Return a graph with popular names and rare ones."""
    rng = np.random.default_rng(seed)
    pairs = {
        (int(genes * rng.random() ** 2), int(diseases * rng.random() ** 2)) for _ in range(int(edges * 1.4))
    }
    gene, disease = np.array(sorted(pairs)[:: max(1, len(pairs) // edges)]).T
    return graph_of_pairs(
        pa.array([f"G{number:03}" for number in gene]),
        diseases=pa.array([f"{'abcdefgh'[number % 8] * 3} syndrome {number}" for number in disease]),
    )


def planted_graph(seed: int = 0, *, genes: int = 120, diseases: int = 80, edges: int = 700) -> Graph:
    """Return a graph whose genes and diseases fall into four groups, nine in ten edges within one."""
    rng = np.random.default_rng(seed)
    gene = rng.integers(genes, size=edges)
    disease = rng.integers(diseases // 4, size=edges) * 4 + np.where(
        rng.random(edges) < 0.9, gene % 4, rng.integers(4, size=edges)
    )
    return graph_of_pairs(
        pa.array([f"G{number:03}" for number in gene]),
        diseases=pa.array([f"D{number:03}" for number in disease]),
    )
