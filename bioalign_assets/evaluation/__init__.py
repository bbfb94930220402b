"""KG separation, probe, zero-shot, clusters, baselines, intervals."""
