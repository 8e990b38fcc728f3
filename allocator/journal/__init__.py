"""What happened, to what, when and by whom: the journal as people read it."""
