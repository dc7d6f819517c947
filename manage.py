#!/usr/bin/env python
"""Django's command line for Jobsite: `python manage.py help` lists the commands."""

from jobsite.__main__ import main

if __name__ == "__main__":
    main()
