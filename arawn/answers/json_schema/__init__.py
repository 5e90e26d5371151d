"""JSON Schema: read into one form, checked against values, and written as each provider takes it."""
