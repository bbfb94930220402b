"""Automation: what is stale and why, what follows a new release by itself, and the same without a daemon."""
