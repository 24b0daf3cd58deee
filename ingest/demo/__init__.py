"""The demo: its text, its SAE, how both were made, and the run that shows them."""
