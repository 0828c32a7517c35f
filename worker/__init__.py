"""The worker: predicts one player per request and stages the rows."""
