"""What a token costs, rented, owned or bought: the study of the chapter on tokenomics."""
