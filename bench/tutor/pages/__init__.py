"""What pupil and teacher see in a browser, and the one page of a class that needs none of it."""
