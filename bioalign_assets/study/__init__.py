"""The study: everything that a researcher varies, from one file, as one validated, frozen value.

On the ground floor, for every room reads it: the specs of all sections of a study file, what reads each setting, the
variants, and the loading with its errors. Nothing here imports a room.
"""

from bioalign_assets.study.load import BUILT_IN_STUDIES, load_study
from bioalign_assets.study.study import UNTUNED, Study, Variant

__all__ = ["BUILT_IN_STUDIES", "UNTUNED", "Study", "Variant", "load_study"]
