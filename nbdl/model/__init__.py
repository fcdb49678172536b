"""Models as users hold them: built, compiled, saved, copied and exported."""
