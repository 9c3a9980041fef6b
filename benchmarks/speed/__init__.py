"""How fast: one command, seven tables, each beside a plain baseline."""
