"""Where store, engine, delivery, rendering and channels are put together."""
