"""What the generated blocks of the pages are made of: each module turns one source into Markdown."""
