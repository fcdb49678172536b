"""What a model does and what it costs: summary, explain, profile and roofline."""
