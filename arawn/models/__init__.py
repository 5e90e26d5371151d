"""Facts about models: what they take and cost, and estimates of tokens."""
