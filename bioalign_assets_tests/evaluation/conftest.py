"""The real datasets, built once for this room."""

import pyarrow as pa
import pytest

from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets_tests.evaluation._real import read_associations


@pytest.fixture(scope="session")
def associations(real_data) -> pa.Table:
    return read_associations(real_data / "ctd" / "CTD_curated_genes_diseases.2025-08-27.csv")


@pytest.fixture(scope="session")
def published(associations) -> pa.Table:
    return build_dataset(associations, spec=DatasetSpec(name="published", sampler="published", split="pair"))


@pytest.fixture(scope="session")
def held_out(associations) -> pa.Table:
    return build_dataset(associations, spec=DatasetSpec(name="held-out", sampler="published", split="entity"))


@pytest.fixture(scope="session")
def stable(associations) -> pa.Table:
    return build_dataset(associations, spec=DatasetSpec(name="stable", sampler="stable", split="pair"))
