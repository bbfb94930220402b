"""The paper's procedure once more, one pair at a time and by name: slow, and independent of the package."""

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split


def text_of(gene, disease):
    return f"{gene} is associated with {disease}"


def draw_one_by_one(genes, diseases, *, texts, count, generator):
    drawn = []
    while len(drawn) < count:
        gene = genes[generator.integers(0, len(genes))]
        disease = diseases[generator.integers(0, len(diseases))]
        if text_of(gene, disease) not in texts:
            drawn.append((gene, disease))
    return drawn


def paper_splits(associations, *, seed, test_share, held_out_share):
    """Return train and test rows (gene, disease, text, PubMed ids, label) as the paper's files hold them, by split."""
    rows = associations.to_pylist()
    positives = dict.fromkeys(
        (row["gene_symbol"], row["disease_name"], "|".join(row["pubmed_ids"]))
        for row in rows
        if {"marker/mechanism", "therapeutic"} & set(row["direct_evidence"])
    )
    genes = list(dict.fromkeys(gene for gene, _, _ in positives))
    diseases = list(dict.fromkeys(disease for _, disease, _ in positives))
    texts = {text_of(gene, disease) for gene, disease, _ in positives}
    generator = np.random.default_rng(seed)
    negatives = draw_one_by_one(genes, diseases, texts=texts, count=len(positives), generator=generator)
    records = [(gene, disease, text_of(gene, disease), ids, 1) for gene, disease, ids in positives]
    records += [(gene, disease, text_of(gene, disease), "", 0) for gene, disease in negatives]
    frame = pd.DataFrame(records, columns=["gene", "disease", "text", "pubmed", "label"])
    frame = frame.sample(frac=1, random_state=seed).reset_index(drop=True)
    by_pair = train_test_split(frame, test_size=test_share, stratify=frame["label"], random_state=seed)
    held_genes = generator.choice(genes, size=int(len(genes) * held_out_share), replace=False)
    held_diseases = generator.choice(diseases, size=int(len(diseases) * held_out_share), replace=False)
    is_test = frame["gene"].isin(held_genes) | frame["disease"].isin(held_diseases)
    return {
        split: [[tuple(row) for row in part.to_numpy().tolist()] for part in parts]
        for split, parts in (("pair", by_pair), ("entity", (frame[~is_test], frame[is_test])))
    }


def rows_of(pairs, split):
    """The rows of one split of ``curation.pairs``, by row_number, in the form of ``paper_splits``."""
    rows = sorted(
        (row for row in pairs.to_pylist() if row["split"] == split), key=lambda row: row["row_number"]
    )
    return [
        (r["gene_symbol"], r["disease_name"], r["text"], "|".join(r["pubmed_ids"]), r["label"]) for r in rows
    ]
