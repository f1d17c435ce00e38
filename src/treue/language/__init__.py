"""The files marketers write: text with places in, journeys, segments, settings and problems out."""
