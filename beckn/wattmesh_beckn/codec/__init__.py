"""Translation between the market's messages and a network's: a port, and one package for each network."""
