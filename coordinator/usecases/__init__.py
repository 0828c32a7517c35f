"""What the coordinator does, one module per use case, over the ports; never a route, a page or a text for people."""
