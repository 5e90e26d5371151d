"""What is recorded of calls: the log and OpenTelemetry."""
