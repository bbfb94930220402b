"""Whether an error is that of a full disk, by whatever library it came."""

import errno
import shutil
from pathlib import Path

__all__ = ["is_disk_full"]

_NUMBERS = frozenset({errno.ENOSPC, errno.EDQUOT})
_TEXTS = ("No space left on device", "Disk quota exceeded", "(os error 28)")
_TORCH_WRITER = ("inline_container.cc", "PytorchStreamWriter")
"""torch.save tells of a short write by the place in its own source; what the system said is lost."""


def is_disk_full(error: BaseException, *, folder: Path, needed: int) -> bool:
    """Return whether an error, or one that it came of, is that of a full disk.

    :param folder: on the disk that is written to
    :param needed: bytes that were to be written, to judge an error that doesn't say
    """
    links: BaseException | None = error
    while links is not None:
        if isinstance(links, OSError) and links.errno in _NUMBERS:
            return True
        if any(text in str(links) for text in _TEXTS):
            return True
        if any(text in str(links) for text in _TORCH_WRITER) and shutil.disk_usage(folder).free < needed:
            return True
        links = links.__cause__ or links.__context__
    return False
