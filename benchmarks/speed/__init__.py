"""How fast: one command, one table, beside plain networks of the neighbours' sizes."""
