"""The step `tag: NAME` for Treue: `word` is what files and plans hold, `sql` is what it does."""
