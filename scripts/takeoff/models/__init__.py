"""The AlexNet family: layers, counts, and the networks built from them."""
