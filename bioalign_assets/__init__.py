"""BioAlign: does fine-tuning make a language model's geometry agree with a biomedical knowledge graph?

The rooms, in the order in which data flows: ``ctd``, ``curation``, ``models``, ``training``, ``inference``,
``evaluation``, ``report``; below all of them ``warehouse``. In each room the science is plain Python, and
``assets.py`` and ``checks.py`` are the only files that know Dagster.
"""

__version__ = "0.1.0"
