"""Made-up claims, and values that support them."""

from takeoff.experiments.claims import Claim

RATIOS = [2.9, 3.1, 3.4, 2.8]


def claim(name, scope="any", published_value=None, **changes):
    """A claim; its words say which field they are."""
    words = {
        "statement": f"{name} holds",
        "source": "Someone 1989",
        "quantity": "epochs",
        "criterion": "above 2",
        "published": "6×",
        "figure": "race-ratios",
    }
    return Claim(name, **(words | changes), scope=scope, published_value=published_value)
