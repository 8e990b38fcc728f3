"""Puts one worker together out of all parts, and has it serve."""
