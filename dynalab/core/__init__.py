"""The paper: pure values and state machines, free of I/O, time and chance."""
