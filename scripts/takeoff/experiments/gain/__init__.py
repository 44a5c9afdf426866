"""How many times less computation does each factor need?"""
