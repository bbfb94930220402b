"""Stand-ins: what a published model is in kind and form, small enough for minutes."""

import pytest
import torch
from bitsandbytes.nn import Linear4bit

from bioalign_assets.errors import ModelError
from bioalign_assets.models.folder import describe
from bioalign_assets.models.loading import load_base
from bioalign_assets.models.model_files import weight_files
from bioalign_assets.rehearsal.stand_ins import make_stand_in
from bioalign_assets.study.models import ModelSpec
from bioalign_assets_tests import tiny_models


@pytest.mark.parametrize(("is_nf4", "is_pickled"), [(True, False), (False, True), (False, False)])
def test_kind_vocabulary_and_form_are_the_originals(original, architecture, tmp_path, is_nf4, is_pickled):
    of = original(architecture, is_nf4=is_nf4, is_pickled=is_pickled)
    folder = make_stand_in(of, name="m", parent=tmp_path)
    files = weight_files(folder)
    assert len(files) > 1  # as large models are published
    assert {file.suffix for file in files} == {".bin" if is_pickled else ".safetensors"}
    spec = ModelSpec(path=str(folder), dtype="float32")
    resolved = describe(folder, spec=spec, name="m", what="m", source="folder")
    assert resolved.architecture == tiny_models.resolved(architecture).architecture
    assert (resolved.vocabulary, resolved.layers) == (of.config["vocab_size"], 2)
    loaded = load_base(resolved, spec=spec, warehouse=tmp_path)
    packed = [layer for layer in loaded.model.modules() if isinstance(layer, Linear4bit)]
    assert packed
    # published with statistics for bfloat16, and unpacked to the type that is computed in once it is loaded
    assert {layer.weight.quant_state.dtype for layer in packed} == {torch.float32}
    texts = tiny_models.statements(3)
    expected = tiny_models.load(architecture).tokenizer(texts)["input_ids"]
    assert loaded.tokenizer(texts)["input_ids"] == expected
    if architecture == "mistral":
        assert loaded.model.config.sliding_window == of.config["sliding_window"]


def test_the_same_original_gives_the_same_stand_in(original, tmp_path):
    first, second = (make_stand_in(original(), name="m", parent=tmp_path / name) for name in "ab")
    assert first.name == second.name


def test_an_architecture_that_is_not_known_is_told(original, tmp_path):
    of = original()
    of.config["model_type"] = "unheard"
    with pytest.raises(ModelError, match=r"Model m.*can't be shrunken.*unheard"):
        make_stand_in(of, name="m", parent=tmp_path)
    assert not list(tmp_path.iterdir())
