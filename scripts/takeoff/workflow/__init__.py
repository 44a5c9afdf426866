"""How the workflow is wired: the project, its plan, packs of arms, digests."""
