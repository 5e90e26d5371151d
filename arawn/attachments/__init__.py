"""What goes into a message besides its words: files as text or images."""
