"""A trained variant as a folder to hand on: for plain transformers and PEFT, with a model card."""
