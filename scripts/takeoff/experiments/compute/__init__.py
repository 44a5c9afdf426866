"""How much computation, on what?"""
