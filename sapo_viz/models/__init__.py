"""Policies: tasks, tokenizer, loading, scoring, sampling. transformers is imported in this layer only, and late."""
