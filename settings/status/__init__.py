"""STATUS_: health for machines, a page for people."""
