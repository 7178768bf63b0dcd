"""The tests of dynalab; a package so that they can share helpers."""
