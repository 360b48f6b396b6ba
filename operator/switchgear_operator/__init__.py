"""The control plane: policies become ConfigMaps, and the fleet's metrics become the policies' status."""
