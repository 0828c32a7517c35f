"""The worker: predicts players and stages their rows; never reads a database or the ledger."""
