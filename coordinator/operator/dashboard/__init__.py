"""The dashboard's words and templates; its addresses are `coordinator.routes.dashboard`."""
