"""Small experiments that run while the book is built."""
