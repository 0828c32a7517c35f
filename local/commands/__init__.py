"""The parts of the `tipoff` command, one module each. They raise the errors of `shared.errors`; `local.cli` tells them."""
