"""References to secrets, where each may be sent, and the keyring."""
