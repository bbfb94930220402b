"""Statements, their identifiers and hashes: what makes a pair the same in every dataset and release.

Hashes here depend on names and seed alone: not on the machine, the Python version, the row order or the other
rows. Python's own ``hash`` and row numbers have none of these properties.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["LINK", "Purpose", "mix64", "name_hashes", "pair_ids", "statements"]

LINK = " is associated with "
"""What stands between gene symbol and disease name in a statement."""

Purpose = Literal["negatives", "split", "order", "held-out", "class", "candidates", "core", "ties"]
Hashes = npt.NDArray[np.uint64]

_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)


def statements(genes: pa.Array, diseases: pa.Array) -> pa.Array:
    """Return the text of each pair: ``{gene symbol} is associated with {disease name}``.

    :param genes: gene symbols; shape: (n,)
    :param diseases: disease names; shape: (n,)
    """
    return pc.binary_join_element_wise(genes, diseases, LINK)


def pair_ids(genes: Iterable[str], diseases: Iterable[str]) -> list[str]:
    """Return the identifier of each pair: 16 hex digits of the SHA-256 of gene symbol, U+001F, disease name.

    The unit separator keeps ``("AB", "C")`` and ``("A", "BC")`` apart; no name holds a control character.
    """
    return [
        hashlib.sha256(f"{gene}\x1f{disease}".encode()).hexdigest()[:16]
        for gene, disease in zip(genes, diseases, strict=True)
    ]


def name_hashes(
    names: Sequence[str], *, kind: Literal["gene", "disease"], purpose: Purpose, seed: int
) -> Hashes:
    """Return one 64-bit hash per name; independent for each kind, purpose and seed. Shape: (len(names),).

    BLAKE2b with kind, purpose and seed in front of the name (RFC 7693), read as a little-endian integer.
    """
    start = hashlib.blake2b(f"bioalign\x1f{purpose}\x1f{kind}\x1f{seed}\x1f".encode(), digest_size=8)
    digests = bytearray()
    for name in names:
        digest = start.copy()
        digest.update(name.encode())
        digests += digest.digest()
    return np.frombuffer(bytes(digests), dtype="<u8").astype(np.uint64)


def mix64(values: Hashes, *, scratch: Hashes | None = None) -> Hashes:
    """Scramble 64-bit integers in place, one to one, and return them.

    The finaliser of SplitMix64 (Steele, Lea & Flood 2014, doi:10.1145/2714064.2660195; constants: Stafford's
    variant 13). The sum of a gene's and a disease's hash is uniform, but the sums of one gene are those of
    another plus a constant; after mixing, nothing of that is left in the order of the values.

    :param values: changed in place; any shape
    :param scratch: working memory of the same shape, so that a loop over blocks allocates nothing
    """
    shifted = np.empty_like(values) if scratch is None else scratch
    for shift, multiplier in ((30, _MULTIPLIER_1), (27, _MULTIPLIER_2), (31, None)):
        np.right_shift(values, np.uint64(shift), out=shifted)
        np.bitwise_xor(values, shifted, out=values)
        if multiplier is not None:
            np.multiply(values, multiplier, out=values)
    return values
