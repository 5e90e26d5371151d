"""How fast arawn is beside its floors and its peers: ratios of one run, never times."""
