"""What the tests share: the frameworks, their modes, the grid, and answers from elsewhere."""
