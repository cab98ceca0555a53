"""What follows from a record and an answer: pure conclusions."""
