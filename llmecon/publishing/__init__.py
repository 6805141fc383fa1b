"""What turns models into a book; importing the library loads none of it."""
