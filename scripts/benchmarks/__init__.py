"""The referee's parts: `works` what is done, `peers` who does it, `referee` the rounds, `report` what comes out."""
