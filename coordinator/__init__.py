"""The coordinator: plans a date's batch, keeps its ledger, consolidates what workers staged; never predicts."""
