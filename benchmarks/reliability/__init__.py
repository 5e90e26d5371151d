"""The scoreboard: what must hold in every case, tried in all of them, and how often it did not."""
