"""What is: facts with their provenance, the queries that define them, and the sources that answer."""
