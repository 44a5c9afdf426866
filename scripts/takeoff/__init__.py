"""Takeoff: which factor made deep learning take off, measured arm by arm."""
