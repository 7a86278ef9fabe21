"""The definitions, a module for each group."""
