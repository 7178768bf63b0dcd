"""Measurements: the raw ZeroMQ yardstick, loads, and the ratios between them."""
