"""The declared truth: messages, tables and names of both services; never any I/O."""
