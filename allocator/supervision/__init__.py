"""Worker processes, kept alive: started, watched, restarted, replaced, stopped."""
