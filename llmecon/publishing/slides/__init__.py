"""Chapters as slides: an executed notebook goes in, a page of reveal.js comes out."""
