"""What is measured, beside what it is compared with. `make bench`, and README.md in this folder."""
