"""Questions about single pairs: what a variant says of them, and what CTD knows."""
