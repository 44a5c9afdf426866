"""The older methods: hand-made features and the learners of before 2012. Knows nothing of torch."""
