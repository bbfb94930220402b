"""Embeddings of statements and answers to prompts."""
