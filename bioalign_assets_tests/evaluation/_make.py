"""Random but shaped inputs for this room's tests."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.warehouse.schemas import TABLES


def where(table: pa.Table, **values: object) -> pa.Table:
    """The rows that have these values; None for none."""
    for name, value in values.items():
        column = table[name]
        table = table.filter(pc.is_null(column) if value is None else pc.equal(column, value))
    return table


def embeddings(
    *,
    rows: int = 120,
    width: int = 8,
    shift: float = 1.0,
    seed: int = 0,
    variant: str = "m@untuned",
    test_set: str = "published",
) -> pa.Table:
    """Two Gaussian clouds ``shift`` apart, in the shape of ``inference.embeddings``."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(rows) % 2).astype(np.int8)
    matrix = rng.normal(size=(rows, width)) + 0.5
    matrix[:, 0] += shift * labels
    model, experiment = variant.split("@")
    return pa.table(
        {
            "variant": [variant] * rows,
            "model": [model] * rows,
            "experiment": [experiment] * rows,
            "test_set": [test_set] * rows,
            "row_number": np.arange(rows) * 3,
            "pair_id": [f"{row:016x}" for row in range(rows)],
            "label": labels,
            "embedding": pa.array(list(matrix.astype(np.float32)), pa.list_(pa.float32())),
        },
        schema=TABLES["inference.embeddings"].arrow,
    )


def answers(
    *,
    rows: int = 200,
    skill: float = 1.0,
    seed: int = 0,
    variant: str = "m@untuned",
    test_set: str = "published",
    prompt: str = "unseen",
) -> pa.Table:
    """Answers whose p_true follows the label by ``skill``, in the shape of ``inference.answers``."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(rows) % 2).astype(np.int8)
    p_true = 1 / (1 + np.exp(-(skill * (2 * labels - 1) + rng.normal(size=rows))))
    predicted = (p_true >= 0.5).astype(np.int8)
    model, experiment = variant.split("@")
    return pa.table(
        {
            "variant": [variant] * rows,
            "model": [model] * rows,
            "experiment": [experiment] * rows,
            "test_set": [test_set] * rows,
            "prompt": [prompt] * rows,
            "row_number": np.arange(rows),
            "pair_id": [f"{row:016x}" for row in range(rows)],
            "label": labels,
            "answer": np.where(predicted, "true", "false"),
            "predicted": predicted,
            "p_true": p_true,
        },
        schema=TABLES["inference.answers"].arrow,
    )


def rankings(
    *,
    queries: int = 40,
    candidates: int = 11,
    seed: int = 0,
    variant: str = "m@untuned",
    test_set: str = "published",
    prompt: str = "unseen",
    kinds: tuple[str, ...] = ("exact", "sampled"),
) -> pa.Table:
    """Random ranks, in halves, in the shape of ``inference.rankings``; drawn candidates are fewer than all."""
    rng = np.random.default_rng(seed)
    model, experiment = variant.split("@")
    rows = []
    for row in range(queries):
        for target in ("disease", "gene"):
            for kind in kinds:
                count = candidates if kind == "sampled" else 10 * candidates
                rows.append(
                    {
                        "variant": variant, "model": model, "experiment": experiment, "test_set": test_set,
                        "prompt": prompt, "row_number": 3 * row, "pair_id": f"{row:016x}", "target": target,
                        "candidates": kind, "n_candidates": count,
                        "rank": 1 + int(rng.integers(2 * count - 1)) / 2,
                    }
                )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=TABLES["inference.rankings"].arrow)


def pairs(statements: list[tuple[str, str, int, str]], *, dataset: str = "toy") -> pa.Table:
    """``curation.pairs`` of (gene, disease, label, split), in this order."""
    rows = [
        {
            "dataset": dataset,
            "row_number": place,
            "pair_id": hashlib.sha256(f"{gene}\x1f{disease}".encode()).hexdigest()[:16],
            "gene_symbol": gene,
            "gene_id": place + 1,
            "disease_name": disease,
            "disease_id": f"MESH:{place}",
            "text": f"{gene} is associated with {disease}",
            "pubmed_ids": [],
            "label": label,
            "label_source": "ctd" if label else "generated",
            "split": split,
        }
        for place, (gene, disease, label, split) in enumerate(statements)
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["curation.pairs"].arrow)


def popular_pairs(*, rows: int = 2000, seed: int = 0, dataset: str = "toy") -> pa.Table:
    """Positives with a long tail over genes, negatives without: popularity gives the label away."""
    rng = np.random.default_rng(seed)
    tail = np.minimum(rng.geometric(0.05, size=rows), 300)
    flat = rng.integers(1, 300, size=rows)
    made = []
    for place in range(rows):
        label = place % 2
        gene = f"G{tail[place] if label else flat[place]}"
        disease = f"D{rng.integers(200)}"
        made.append((gene, disease, label, "test" if place % 5 == 0 else "train"))
    return pairs(made, dataset=dataset)


def named_study(
    *,
    rows: int = 60,
    width: int = 6,
    shift: float = 0.5,
    seed: int = 0,
    variant: str = "m@untuned",
    test_set: str = "published",
    shared_name: bool = False,
) -> tuple[pa.Table, pa.Table, pa.Table, np.ndarray]:
    """Embeddings, names and pairs that fit together, and the cosine of the two names of each row.

    :param shared_name: whether one name is a gene's and a disease's at once
    """
    draw = np.random.default_rng([7, rows])  # the pairs are the same for every variant
    statements = [
        (f"G{draw.integers(12)}", f"D{place}", place % 2, "test" if place < rows else "train")
        for place in range(rows + 20)
    ]
    if shared_name:
        statements = [("G3" if g == "G3" else g, "G3" if d == "D3" else d, y, s) for g, d, y, s in statements]
    dataset = pairs(statements, dataset=test_set)
    sample = dataset.slice(0, rows)
    cloud = embeddings(
        rows=rows, width=width, shift=shift, seed=seed, variant=variant, test_set=test_set
    ).to_pydict()
    cloud |= {name: sample[name].to_pylist() for name in ("row_number", "pair_id", "label")}
    model, experiment = variant.split("@")
    rng = np.random.default_rng(seed)
    vectors: dict[tuple[str, str], np.ndarray] = {}
    for kind, column in (("gene", "gene_symbol"), ("disease", "disease_name")):
        for name in dict.fromkeys(sample[column].to_pylist()):
            vectors[kind, name] = rng.normal(size=width).astype(np.float32)
    names = [
        {
            "variant": variant,
            "model": model,
            "experiment": experiment,
            "test_set": test_set,
            "kind": kind,
            "name": name,
            "embedding": vector.tolist(),
        }
        for (kind, name), vector in vectors.items()
    ]

    def unit(kind: str, name: str) -> np.ndarray:
        return vectors[kind, name] / np.linalg.norm(vectors[kind, name])

    cosine = np.array(
        [
            unit("gene", gene) @ unit("disease", disease)
            for gene, disease in zip(
                sample["gene_symbol"].to_pylist(), sample["disease_name"].to_pylist(), strict=True
            )
        ]
    )
    return (
        pa.Table.from_pydict(cloud, schema=TABLES["inference.embeddings"].arrow),
        pa.Table.from_pylist(names, schema=TABLES["inference.names"].arrow),
        dataset,
        cosine,
    )
