"""The OpenAI APIs: Chat Completions, as many services speak it, and Responses."""
