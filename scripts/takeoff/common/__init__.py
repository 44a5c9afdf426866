"""What every other part uses: errors, files, tables, digests, random streams."""
