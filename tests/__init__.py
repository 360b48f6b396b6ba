"""The tests: unit/ (no cluster), cluster/ (a real API server), e2e/ (the chart and real workloads), support/ (what they share)."""
