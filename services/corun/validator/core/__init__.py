"""What the validator decides, free of databases and wires."""
