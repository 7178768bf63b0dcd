"""The nodes of `dynalab.core` as operating system processes over ZeroMQ."""
