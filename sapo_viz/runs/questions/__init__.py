"""Your own questions: a table's rows as prompts, what their completions earn, and what is held out."""
