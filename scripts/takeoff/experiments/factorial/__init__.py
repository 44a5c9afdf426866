"""Which factor mattered, and do they need each other?"""
