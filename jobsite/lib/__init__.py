"""The ground floor: what every package may use. It knows no model; each module is named for what it knows."""
