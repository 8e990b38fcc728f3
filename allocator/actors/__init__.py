"""The shell around the rules: mailboxes, the journal writer, activation."""
