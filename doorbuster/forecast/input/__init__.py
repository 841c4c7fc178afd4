"""Files of orders or visits, in any of several formats, to one series of counts."""
