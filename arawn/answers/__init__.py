"""What was answered: as a record, as JSON, as code, as an object that fits a schema."""
