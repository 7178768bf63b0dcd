"""Search: random scripts of clients and faults over the simulation, judged, and shrunk when a rule breaks."""
