"""How the defaults do on cameras that nobody tuned for."""
