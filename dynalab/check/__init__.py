"""Judges of histories and traces: what must hold, whatever happened."""
