"""The one door to the network: HTTP, deadlines, TLS, proxies."""
