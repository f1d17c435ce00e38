"""The versions of journeys in the store: published, applied to those inside, stopped."""
