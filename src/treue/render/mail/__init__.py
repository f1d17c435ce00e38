"""What goes out: messages as mails and SMS, their headers, links and return paths."""
