"""What a rollout file is: its schema, one small reader a format, and what objectives do to its tokens."""
