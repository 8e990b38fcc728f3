"""Lines between the worker processes of one machine, over Unix sockets."""
