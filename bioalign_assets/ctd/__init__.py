"""Find, fetch, verify and parse a CTD release; the synthetic demo release; what changed between releases."""
