"""The coordinator's routes, a module for each kind of caller: parse, ask the use case, answer with a status."""
