"""Tables, bars and figures."""
