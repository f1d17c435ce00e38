"""The folder a marketing team keeps in git, loaded."""
