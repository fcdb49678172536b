"""Who offers units: hooks, discovery, loading, registration and look-up."""
