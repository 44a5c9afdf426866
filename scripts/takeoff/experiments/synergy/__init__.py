"""Is any one of data, computation and algorithms enough?"""
