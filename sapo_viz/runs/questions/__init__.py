"""Questions of one's own: a table's rows as prompts, what their completions earn, and what is held out."""
