"""Steps at work: a stage's batches, what is rendered for each customer, the SQL that people are shown."""
