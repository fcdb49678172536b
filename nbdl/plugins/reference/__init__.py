"""What units, hooks and commands say of themselves: for `nbdl plugins info` and for reference pages."""
