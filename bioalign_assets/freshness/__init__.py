"""What is fresh, stale or missing, and what may be made now: one truth, over what Dagster has recorded.

Used by the automation's condition, by ``bioalign status`` and by the walker (``execution/``). It writes nothing.
"""
