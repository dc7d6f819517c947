"""Incidents: detect current problems, open and resolve incidents, acknowledge and delete them."""
