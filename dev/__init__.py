"""What a developer of switchgear runs: a real control plane on loopback, a local node, the demo. Not part of the product."""
