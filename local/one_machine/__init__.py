"""The services of a day in one process, on embedded parts and a folder of CSV files; never a command's options or tables."""
