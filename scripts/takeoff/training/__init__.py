"""The engine: resident images, runs, rates, and the tables of an arm."""
