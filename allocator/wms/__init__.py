"""The warehouse system (WMS): what it is to us, how it is asked, and one to try things on."""
