"""How much sooner does ReLU reach a training error?"""
