"""What every route takes and answers: written once, for the document and for the page."""
