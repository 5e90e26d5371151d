"""Wire protocols: pure translations between values and HTTP messages."""
