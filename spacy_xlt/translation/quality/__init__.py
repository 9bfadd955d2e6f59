"""Quality gates: what makes a translation doubtful. One file a gate."""
