"""Base models: resolve a published one at a pinned revision, or build a tiny one here."""

import logging

# bitsandbytes looks for a faster CPU kernel on the model hub when it is imported, and warns that there is none.
# Set here because it must come before any import of it.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
