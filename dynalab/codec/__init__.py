"""Bytes: messages, records and trace files as bounded, versioned msgpack; the only serialisation."""
