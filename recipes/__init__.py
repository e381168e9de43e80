"""How the weights that the package ships were made; not part of the package."""
