"""What people ask of batches and are shown: models, sentences and pages; never a change of a batch."""
