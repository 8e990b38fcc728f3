"""What a command needs that is a client of a running server like any other."""
