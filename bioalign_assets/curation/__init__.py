"""From associations to labelled datasets: positives, negative samplers, splits, prompts, profile."""
