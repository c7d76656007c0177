"""What sources read with: files as they were planned, archives and their damage, lines, batches of rows."""
