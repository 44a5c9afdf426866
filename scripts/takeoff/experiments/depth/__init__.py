"""Do gradients vanish, and what cures it?"""
