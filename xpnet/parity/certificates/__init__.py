"""What one device computed, in a file that another machine can check."""
