"""What the paper shows, a module a table or figure: sweep() and report()."""
