"""Contrasts, Shapley shares, intervals and corrections of factorial designs: knows nothing of networks."""
