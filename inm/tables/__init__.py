"""One table a module, with its accessors; each says who writes it."""
