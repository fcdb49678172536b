"""What is computed: tensors, operations and the scalar functions in them, before any machine is chosen."""
