"""Base models: resolve a published one at a pinned revision, or build a tiny one here."""
