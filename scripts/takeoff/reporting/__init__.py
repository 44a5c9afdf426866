"""What a study found, in words: a summary to read and to keep."""
