"""Circuit breakers inside a Python process, re-tuned across the fleet by Kubernetes policies."""
