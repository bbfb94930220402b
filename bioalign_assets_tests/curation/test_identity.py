import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.curation.identity import mix64, name_hashes, pair_ids, statements


def test_pair_id_is_the_start_of_a_sha256():
    expected = hashlib.sha256(b"TNF\x1fAsthma").hexdigest()[:16]
    assert pair_ids(["TNF"], ["Asthma"]) == [expected] == ["68d7be0fddbc2d47"]


def test_pair_id_keeps_the_border_between_the_names():
    first, second = pair_ids(["AB", "A"], ["C", "BC"])
    assert first != second


def test_pair_ids_need_two_columns_of_one_length():
    with pytest.raises(ValueError, match="zip"):
        pair_ids(["A", "B"], ["C"])


def test_statement():
    texts = statements(pa.array(["TNF", "NAN"]), pa.array(["Asthma", "Diabetes, Type 2"]))
    assert texts.to_pylist() == ["TNF is associated with Asthma", "NAN is associated with Diabetes, Type 2"]


def test_name_hashes_never_change():
    # a change here moves every stable dataset: only with a new major version
    hashes = name_hashes(["TNF", "", "β-Catenin"], kind="gene", purpose="negatives", seed=42)
    assert hashes.dtype == np.uint64
    assert hashes.tolist() == [2818861200360956346, 1097160999262567470, 9856959207992830537]


def test_name_hash_by_the_definition():
    digest = hashlib.blake2b(b"bioalign\x1fsplit\x1fdisease\x1f7\x1fAsthma", digest_size=8).digest()
    assert name_hashes(["Asthma"], kind="disease", purpose="split", seed=7)[0] == int.from_bytes(
        digest, "little"
    )


def test_name_hashes_differ_by_kind_purpose_and_seed():
    hashes = {
        int(name_hashes(["A"], kind=kind, purpose=purpose, seed=seed)[0])
        for kind in ("gene", "disease")
        for purpose in ("negatives", "split", "order")
        for seed in range(10)
    }
    assert len(hashes) == 60


def test_no_names_have_no_hashes():
    assert name_hashes([], kind="gene", purpose="order", seed=1).shape == (0,)


def test_mix64_is_splitmix64():
    # first three outputs of the reference implementation with seed 0 (prng.di.unimi.it/splitmix64.c)
    step = 0x9E3779B97F4A7C15
    states = np.array([(step * i) % 2**64 for i in (1, 2, 3)], dtype=np.uint64)
    assert mix64(states).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=50))
def test_mix64_is_one_to_one_and_the_same_with_scratch(values):
    mixed = mix64(np.array(values, dtype=np.uint64))
    assert len(set(mixed.tolist())) == len(values)
    again = np.array(values, dtype=np.uint64)
    assert mix64(again, scratch=np.empty_like(again)).tolist() == mixed.tolist()


def test_mix64_flips_half_of_the_bits():
    values = np.arange(1, 2001, dtype=np.uint64)
    for bit in (0, 17, 40, 63):
        flipped = mix64(values.copy()) ^ mix64(values ^ np.uint64(1 << bit))
        assert abs(np.bitwise_count(flipped).mean() - 32) < 0.5
