"""The version of this code. What asks for it, the wheel's metadata too, reads it here."""

VERSION = "0.1.0"
