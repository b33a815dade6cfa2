"""Whatever makes a record: a kind of measurement a module."""
