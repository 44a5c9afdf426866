"""The engine against plain loops: images per second on this machine."""
