"""The training layer under every network estimator: rows on the device, skorch's loop, and checkpoints."""
