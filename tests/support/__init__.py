"""What tests share: waiting for a condition, and speaking to the API server."""
