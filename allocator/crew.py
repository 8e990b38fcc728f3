"""What one worker is made of; whoever starts it hands it the world outside."""
