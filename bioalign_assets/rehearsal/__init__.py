"""A study played through in minutes, with small models in the place of the published ones."""
