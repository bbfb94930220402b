"""A variant's model in memory: the base model, with the adapter on it that belongs to it where it is tuned."""

from pathlib import Path

import pyarrow as pa

from bioalign_assets.models.backends.choose import backend_of
from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study import Study, Variant
from bioalign_assets.training.adapters import adapter_row, verify_adapter, with_adapter
from bioalign_assets.training.provenance import expected_provenance

__all__ = ["load_variant"]


def load_variant(
    variant: Variant, *, study: Study, base: pa.Table, pairs: pa.Table, adapter: pa.Table, warehouse: Path
) -> LoadedModel:
    """Return a variant's model, ready for inference.

    :param base: rows of ``models.base``, with the variant's model
    :param pairs: rows of ``curation.pairs``, with at least the dataset that the variant is trained on
    :param adapter: rows of ``training.adapter``, with the variant's
    :param warehouse: folder of the warehouse
    :raises ModelError: if the model or its adapter was not materialised, is gone, or is not what was recorded
    :raises ProvenanceError: if the adapter does not belong to the present base, dataset or settings
    """
    folder = None
    if study.training_dataset(variant) is not None:
        folder = verify_adapter(
            adapter_row(adapter, variant=variant.key),
            warehouse=warehouse,
            expected=expected_provenance(variant, study=study, base=base, pairs=pairs),
        )
    resolved = ResolvedModel.from_table(base, model=variant.model)
    spec = study.models[variant.model]
    loaded = backend_of(spec).for_inference(resolved, spec=spec, warehouse=warehouse)
    return loaded if folder is None else with_adapter(loaded, folder=folder)
