"""The dashboard's words and templates; its addresses are in `coordinator.routes.pages` and `coordinator.routes.buttons`."""
