"""What runs on one machine: the command and the stacks that it starts; never imported by a service."""
