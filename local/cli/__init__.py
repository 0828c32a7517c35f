"""The `tipoff` command, one module for each of its commands and tools. They raise the errors of `shared.errors`; `local.cli.main` tells them."""
