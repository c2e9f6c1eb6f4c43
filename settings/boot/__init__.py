"""The hall: how a boot runs, where background work lives, how a process ends."""
