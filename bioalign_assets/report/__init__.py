"""Tables and figures that compare models with each other and with baselines."""
