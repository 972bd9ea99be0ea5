"""What goes out: requests that the server itself makes of others."""
