"""Whole servers in one process and in virtual time, decided by one seed."""
