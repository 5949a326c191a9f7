"""One stage a module. Agents never import each other: a topic lies between them."""
