"""The page that explains the API: one file of HTML, rendered once."""
