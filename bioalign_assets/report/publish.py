"""The page on disk: whole or not there, each content in a folder of its own, the newest under a name that stays."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from bioalign_assets.warehouse.atomic import publish_directory, written_aside

__all__ = ["PAGE", "Published", "newest_page", "publish"]

PAGE = "study.html"
_FOLDER = "report"


@dataclass(frozen=True, kw_only=True)
class Published:
    """A page as it lies in the warehouse.

    :param path: below the warehouse folder
    :param sha256: of its bytes, hex
    :param bytes: its size
    """

    path: str
    sha256: str
    bytes: int


def publish(html: str, *, root: Path) -> Published:
    """Write a page to ``report/<sha256>/study.html``, and a copy over ``report/study.html``.

    The same page again is left as it stands, but for the copy, which is of the page published last. Pages of
    before stay: a materialisation of before still names its page.

    :param root: the warehouse folder
    """
    content = html.encode()
    sha256 = hashlib.sha256(content).hexdigest()

    def build(folder: Path) -> str:
        (folder / PAGE).write_bytes(content)
        return sha256

    page = publish_directory(root / _FOLDER, build) / PAGE
    with written_aside(newest_page(root)) as aside:
        shutil.copyfile(page, aside)
    return Published(path=page.relative_to(root).as_posix(), sha256=sha256, bytes=len(content))


def newest_page(root: Path) -> Path:
    """Return where the newest page of a warehouse lies, if there is one."""
    return root / _FOLDER / PAGE
