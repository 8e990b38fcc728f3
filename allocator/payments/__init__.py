"""The payment provider: who it is to us, how it is asked by HTTP, and one to try things on."""
