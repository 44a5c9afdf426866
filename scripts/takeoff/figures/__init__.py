"""What every figure is composed of: style, rows, curves, words."""
