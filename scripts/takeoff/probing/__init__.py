"""How fast training is here: seconds per step of an arm, and floating-point operations per second of a device."""
