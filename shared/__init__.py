"""What both services stand on: errors, ports, settings, logs, the HTTP edge; never a rule of either."""
