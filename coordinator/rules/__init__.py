"""What the coordinator decides: pure functions over frozen values, and the texts of its SQL. Nothing here reads or writes."""
