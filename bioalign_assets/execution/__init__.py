"""Making a study: one walker over the asset partitions, the processes that it uses, and the Dagster instance.

It is given definitions and imports none. ``demo``, ``run`` and ``refresh`` are uses of the one walk (``uses.py``).
"""
