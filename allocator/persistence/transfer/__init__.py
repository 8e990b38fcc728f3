"""A whole installation on its way from one database to another, through a file or straight."""
