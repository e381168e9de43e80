"""What an edge node costs: bytes on its uplink, and what tuning takes from the detection beside it."""
