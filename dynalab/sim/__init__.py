"""The nodes of `dynalab.core` in virtual time: seeded, deterministic, in one process."""
