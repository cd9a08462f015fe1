"""What keeps a checkout in order, and is installed nowhere: commands for a shell, and `boards`, which a test imports."""
