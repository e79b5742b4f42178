"""What runs leave behind: records and failures, and the tables and plots made from them."""
