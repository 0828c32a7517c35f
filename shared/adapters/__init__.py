"""The ports over real clients, embedded engines and topics; thin, and known to those who wire only."""
