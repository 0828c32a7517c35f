"""What tests stand on: worlds to run a batch in, the ways into them, and factories of what a ledger holds.

`world` is a whole batch without servers, `front` and `worker` push at its services, `bench` has batches written by hand
over any warehouse, and `ledger` has one factory per shape. What one test alone needs stays with that test.
"""
