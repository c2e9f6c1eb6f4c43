"""REDIS_ and CACHE_: a cache that outlives its Redis."""
