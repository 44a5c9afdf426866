"""Does batch norm allow larger learning rates and deeper networks?"""
