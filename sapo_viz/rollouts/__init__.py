"""What a rollout file is: its schema, one small reader per format, and what objectives do to its tokens."""
