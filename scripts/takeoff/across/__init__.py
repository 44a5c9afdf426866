"""What several results say together: studies pooled, two results compared, runs merged."""
