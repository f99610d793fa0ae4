"""What is judged: pure functions, one module per subject."""
