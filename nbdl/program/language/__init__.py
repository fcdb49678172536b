"""The language of scalar functions and kernel bodies: Python source checked, rewritten and explained."""
