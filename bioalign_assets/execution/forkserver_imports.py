"""What the fork server of Dagster's executor imports once, so that each step does not import it again.

Only modules that start no threads at import belong here: a fork copies one thread alone.
"""

import pandas as pd
import sklearn.ensemble
import torch
import transformers

__all__ = ["pd", "sklearn", "torch", "transformers"]
