"""How fast this machine trains: seconds per step of an arm, floating-point operations per second of a device."""
