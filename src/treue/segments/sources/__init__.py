"""Where facts come from, as far as several words look there: one folder each, `fact.py` pure and `sql.py` heavy."""
